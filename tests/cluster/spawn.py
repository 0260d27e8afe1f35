"""A process with a PID and mount namespace of its own, in a root folder of its own: what runc does, as far as it is needed.

The child side runs between fork and exec: it must not touch the event loop. Needs root.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import signal
import stat
import sys
import termios
from dataclasses import dataclass, field
from pathlib import Path

LIBC = ctypes.CDLL(None, use_errno=True)
NEWNS, NEWPID = 0x00020000, 0x20000000
RDONLY, REMOUNT, BIND, REC, PRIVATE = 1, 32, 4096, 16384, 1 << 18
PDEATHSIG, NO_NEW_PRIVS = 1, 38
FAILED = 128


class NotExecutableError(Exception):
    """It is there, and is no program."""


@dataclass(frozen=True)
class Bind:
    source: Path
    target: str
    read_only: bool


@dataclass(frozen=True)
class Plan:
    root: Path
    argv: list[str]
    env: dict[str, str]
    cwd: str
    uid: int
    gid: int
    groups: list[int]
    binds: list[Bind] = field(default_factory=list)
    tty: bool = False
    read_only: bool = False
    shared_pids: bool = False  # somebody else is process 1
    cgroups: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Spawned:
    pid: int  # process 1 of the namespace
    outputs: list[tuple[str, int]]  # stream and descriptor
    failure: int  # what runc would say comes here; nothing, and the program runs


def spawn(plan: Plan) -> Spawned:
    out, err = os.openpty() if plan.tty else os.pipe(), os.pipe()
    failure = os.pipe()
    own = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    _check(LIBC.unshare(NEWPID), "unshare")
    pid = os.fork()
    if pid == 0:
        _be_child(plan, out[1], out[1] if plan.tty else err[1], failure[1])
    _check(LIBC.setns(own, NEWPID), "setns")
    for each in (own, out[1], err[1], failure[1]):
        os.close(each)
    if plan.tty:
        os.close(err[0])
        return Spawned(pid, [("stdout", out[0])], failure[0])
    return Spawned(pid, [("stdout", out[0]), ("stderr", err[0])], failure[0])


def _check(answer: int, what: str) -> None:
    if answer < 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")


def _be_child(plan: Plan, out: int, err: int, failure: int) -> None:
    try:
        LIBC.prctl(PDEATHSIG, signal.SIGKILL)
        signal.set_wakeup_fd(-1)
        for each in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD, signal.SIGPIPE):
            signal.signal(each, signal.SIG_DFL)
        for cgroup in plan.cgroups:
            (cgroup / "cgroup.procs").write_text("0")
        _arrange(out, err, failure, tty=plan.tty)
        _move_in(plan)
        if plan.shared_pids:
            if main := os.fork():
                _reap_until(main)
            Path("/proc/self/oom_score_adj").write_text("900")  # short of memory, the program goes and not its minder
        os.umask(0o022)
        _drop_rights(plan)
        os.chdir(plan.cwd)
        os.set_inheritable(3, False)
        os.execve(look_up(plan), plan.argv, plan.env)
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is said, and no Python goes on here
        _say(plan, error)
    finally:
        os._exit(FAILED)


def _arrange(out: int, err: int, failure: int, *, tty: bool) -> None:
    """Standard streams at 0 to 2, where failures are said at 3, and nothing else open."""
    high = [fcntl.fcntl(each, fcntl.F_DUPFD, 100) for each in (out, err, failure)]
    null = os.open("/dev/null", os.O_RDONLY)
    os.setsid()
    for source, target in ((high[0] if tty else null, 0), (high[0], 1), (high[1], 2), (high[2], 3)):
        os.dup2(source, target)
    os.closerange(4, 4096)
    if tty:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _move_in(plan: Plan) -> None:
    _check(LIBC.unshare(NEWNS), "unshare")
    _mount("none", "/", REC | PRIVATE)
    root = str(plan.root)
    _mount(root, root, BIND)
    for bind in plan.binds:
        target = root + bind.target
        _mount(str(bind.source), target, BIND | REC)
        if bind.read_only:
            _mount("none", target, BIND | REMOUNT | RDONLY)
    _mount("proc", f"{root}/proc", 0, "proc")
    if plan.read_only:
        _mount("none", root, BIND | REMOUNT | RDONLY)
    os.chroot(root)
    os.chdir("/")


def _mount(source: str, target: str, flags: int, kind: str = "") -> None:
    answer = LIBC.mount(source.encode(), target.encode(), kind.encode() or None, flags, None)
    _check(answer, f"mount {source} at {target}")


def _drop_rights(plan: Plan) -> None:
    os.setgroups(plan.groups)
    os.setresgid(plan.gid, plan.gid, plan.gid)
    os.setresuid(plan.uid, plan.uid, plan.uid)
    LIBC.prctl(NO_NEW_PRIVS, 1, 0, 0, 0)
    LIBC.prctl(PDEATHSIG, signal.SIGKILL)  # another user forgets it


def _reap_until(main: int) -> None:
    """Process 1 of a shared namespace: passes TERM on, buries orphans, and takes all with it when the program ends."""
    signal.signal(signal.SIGTERM, lambda *_: os.kill(main, signal.SIGTERM))
    os.closerange(0, 4096)
    while True:
        pid, status = os.wait()
        if pid == main:
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code >= 0 else 128 - code)


def look_up(plan: Plan) -> str:
    """The program's path, or the error that Go's exec gives for it."""
    name = plan.argv[0]
    if "/" in name:
        mode = os.stat(name).st_mode  # noqa: PTH116 - its error says the name as it was given
        if not stat.S_ISREG(mode) or not os.access(name, os.X_OK):
            raise NotExecutableError(name)
        return name
    for folder in plan.env.get("PATH", "/bin").split(":"):
        path = f"{folder or '.'}/{name}"
        if Path(path).is_file() and os.access(path, os.X_OK):
            return path
    raise LookupError(name)


def _say(plan: Plan, error: BaseException) -> None:
    name = plan.argv[0]
    if isinstance(error, LookupError):
        said = f'exec: "{name}": executable file not found in $PATH'
    elif isinstance(error, NotExecutableError):
        said = f'exec: "{name}": permission denied'
    elif isinstance(error, OSError) and error.filename == plan.cwd:
        said = f'chdir to cwd ("{plan.cwd}") set in config.json failed: {_text(error)}'
    elif isinstance(error, OSError) and error.filename == name and "/" in name:
        said = f'exec: "{name}": stat {name}: {_text(error)}'
    else:
        said = f"error during container init: {_text(error)}"
    with contextlib.suppress(OSError):
        os.write(3, said.encode())


def _text(error: BaseException) -> str:
    number = getattr(error, "errno", None)
    return os.strerror(number).lower() if number else repr(error)


if sys.platform != "linux":
    raise ImportError("namespaces are Linux's own")
