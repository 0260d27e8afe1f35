"""The start of a job's main process, and why it could not start. Part of the shim.

Exit codes are Docker's: 127 for a command that is not there, 126 for one that cannot be run, and for all other reasons.
"""

# The shim does without pathlib: 5 ms and a megabyte.
# ruff: noqa: PTH103, PTH112, PTH117, PTH118
from __future__ import annotations

import errno
import grp
import os
import pwd
import signal
import subprocess
from typing import Any

from workers.drivers.process import files, subtree

CAUSES = {
    errno.ENOENT: ("command_not_found", 127, "no such file or directory"),
    errno.ENOTDIR: ("command_not_found", 127, "not a directory"),
    errno.EACCES: ("command_not_executable", 126, "permission denied"),
    errno.EPERM: ("command_not_executable", 126, "operation not permitted"),
    errno.ENOEXEC: ("wrong_platform", 126, "exec format error"),
    errno.E2BIG: ("invalid_spec", 126, "argument list too long"),
}
KILL_ME_FIRST = b"500"  # to the kernel, when the whole machine is out of memory: rather than the worker


class StartError(Exception):
    """`cause` is a verdict code, `str()` the sentence."""

    def __init__(self, cause: str, exit_code: int, error: str) -> None:
        super().__init__(error)
        self.cause = cause
        self.exit_code = exit_code


class User:
    """Whom to run as: `name`, `uid`, each with or without `:group`. None is whoever the worker is."""

    def __init__(self, wanted: str | None) -> None:
        self.uid: int | None = None
        self.gid: int | None = None
        self.groups: list[int] | None = None
        if wanted is not None:
            self._resolve(wanted)

    def _resolve(self, wanted: str) -> None:
        name, _, group = wanted.partition(":")
        entry = _passwd(name)
        self.uid = int(name) if name.isdigit() else entry.pw_uid if entry else None
        if self.uid is None:
            raise StartError("bad_user", 126, f"unable to find user {name}: no matching entries in passwd file")
        self.gid = _gid(group) if group else entry.pw_gid if entry else 0
        self._require_right()
        self.groups = os.getgrouplist(entry.pw_name, self.gid) if entry and not group else [self.gid]

    def _require_right(self) -> None:
        if os.geteuid() == 0:
            return
        if (self.uid, self.gid) != (os.geteuid(), os.getegid()):
            raise StartError(
                "bad_user", 126, f"user {self.uid}:{self.gid}: the worker is not root and cannot change users"
            )
        self.uid = self.gid = None


def spawn(folder: str, launch: dict[str, Any]) -> subprocess.Popen[bytes]:
    """Start it, with pipes for its output. Raises `StartError`."""
    user = User(launch["user"])
    cwd = _enter_working_dir(folder, launch["working_dir"], user)
    argv = _argv(folder, launch, user)
    if not argv[0]:
        raise StartError("command_not_found", 127, 'exec: "": no such file or directory')
    stdin = os.open(f"{folder}/{files.STDIN}" if launch["stdin"] else os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return _popen(argv, cwd, user, launch["env"], stdin)
    except OSError as error:
        raise _explained(error, argv, cwd) from error
    finally:
        os.close(stdin)


def _popen(argv: list[str], cwd: str, user: User, env: dict[str, str], stdin: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [each.encode() for each in argv],
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=cwd,
        env={key.encode(): value.encode() for key, value in env.items()},
        user=user.uid,
        group=user.gid,
        extra_groups=user.groups if user.uid is not None else None,
        umask=0o022,
        start_new_session=True,
        preexec_fn=_last_before_exec,  # safe: the shim has one thread
        bufsize=0,
    )


def _last_before_exec() -> None:
    subtree.die_with_parent()  # here, because a change of user undoes it
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    try:
        fd = os.open("/proc/self/oom_score_adj", os.O_WRONLY)
        os.write(fd, KILL_ME_FIRST)
        os.close(fd)
    except OSError:
        return


def _enter_working_dir(folder: str, wanted: str | None, user: User) -> str:
    """Relative ones, and that of a job that names none, are made in the job's own folder; one of the host must be there."""
    scratch = f"{folder}/{files.WORK}"
    path = os.path.normpath(os.path.join(scratch, wanted or ""))
    if not os.path.isabs(wanted or "") and not f"{path}/".startswith(f"{scratch}/"):
        raise StartError("bad_working_dir", 126, f"working directory {wanted}: outside of the job's folder")
    try:
        _make_for(user, scratch)
        if f"{path}/".startswith(f"{scratch}/"):
            _make_for(user, path)
        os.chdir(path)
    except OSError as error:
        raise StartError("bad_working_dir", 126, f"working directory {wanted}: {error.strerror}") from error
    os.chdir("/")
    return path


def _make_for(user: User, path: str) -> None:
    if os.path.isdir(path):
        return
    os.makedirs(path)
    if user.uid is not None:
        os.chown(path, user.uid, -1 if user.gid is None else user.gid)


def _argv(folder: str, launch: dict[str, Any], user: User) -> list[str]:
    if launch["script"] is None:
        return [str(each) for each in launch["argv"]]
    path = f"{folder}/{files.SCRIPT}"
    if user.uid is not None:
        os.chown(path, user.uid, -1)
    return [path] if launch["script"] == "#!" else ["/bin/sh", path]


def _explained(error: OSError, argv: list[str], cwd: str) -> StartError:
    if error.filename == cwd:
        return StartError("bad_working_dir", 126, f"working directory {cwd}: {error.strerror}")
    cause, exit_code, words = CAUSES.get(error.errno or 0, ("internal_error", 126, str(error.strerror)))
    if error.errno == errno.ENOENT and "/" not in argv[0]:
        words = "executable file not found in $PATH"
    return StartError(cause, exit_code, f'exec: "{argv[0]}": {words}')


def _passwd(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwuid(int(name)) if name.isdigit() else pwd.getpwnam(name)
    except KeyError:
        return None


def _gid(group: str) -> int:
    if group.isdigit():
        return int(group)
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise StartError("bad_user", 126, f"unable to find group {group}: no matching entries in group file") from None
