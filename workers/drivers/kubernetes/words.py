"""What container runtimes and kubelets say when a container cannot start → code, summary, remedy. Pure tables.

containerd and CRI-O hand on what runc, crun or gVisor said, in a wrapping of their own, so only words inside count.
Kubernetes' own reasons for an end are in `reasons`, the words about images in `pulling`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

# The first that matches wins.
REASONS: tuple[tuple[str, str, str], ...] = (
    (r"oom[- ]?killed", "oom_killed", "Ask for more `memory`: it did not even suffice to start."),
    (
        # Said by runc in the same sentences as what is wrong with a program, and never the job's fault.
        r"apply apparmor|apparmor failed|init seccomp|seccomp filter|selinux label|/proc/self/attr|apply caps|setting rlimit"
        r"|cgroup config|open /proc/sys/",
        "internal_error",
        "The node's own set-up keeps containers from starting: see to its security modules and cgroups.",
    ),
    (
        r"exec format error|not an executable for this|wrong architecture",
        "wrong_platform",
        "The program was built for another processor. Ask for its `arch`, or use an image built for the node's.",
    ),
    (
        r"runasnonroot|non-root|image will run as root",
        "bad_user",
        "Set `user` to a number other than 0: this namespace runs nobody as root, and can't tell who a name is.",
    ),
    (
        r"unable to find (user|group)|no matching entries in (passwd|group) file|no users found|invalid user"
        r"|failed to (get|resolve) (image )?user|cannot find user",
        "bad_user",
        "Use a user that the image's /etc/passwd knows, or a numeric id such as 1000:1000.",
    ),
    (
        r"no space left on device|disk quota exceeded",
        "disk_full",
        "The node's disk is full, or the pod's quota is used up: free some space or ask for more `disk`.",
    ),
    (
        r"(fork|clone|newosproc|pthread|thread|procready|starting init|start.* process).*resource temporarily unavailable"
        r"|cgroup\.pids|pids limit",
        "pids_exhausted",
        "It was not given a process to start with: let it use fewer, or let the node allow more for a pod.",
    ),
    (
        r"nvidia-container-cli|nvidia-container-runtime|could not select device driver|unresolvable cdi device"
        r"|no runtime for .* is configured|failed to get sandbox runtime",
        "unschedulable",
        "The node can't give what was asked for: see to its GPU driver and its runtime class.",
    ),
    (
        r"chdir to|working directory|cannot mkdir|mkdir[^:]*: (not a directory|file exists|permission denied)"
        r"|mkdir .*read-only",
        "bad_working_dir",
        "Use an absolute `working_dir` that is a folder, or that can be made, and that the user may enter.",
    ),
    (
        r"no command specified|no command or entrypoint",
        "invalid_spec",
        "The image has no command of its own: give the job one.",
    ),
    (
        r"mounting .* to rootfs|read-only file system|are you trying to mount a directory",
        "invalid_spec",
        "Something is to be mounted or made where the image does not allow it: correct the target, or leave `read_only` out.",
    ),
    (
        r"executable file .*not found|command not found|invoke a command that was not found"
        r"|(exec|stat|load|finding executable|lstat|open executable|starting container process)\b.*no such file or directory",
        "command_not_found",
        "",
    ),
    (
        r"(exec|stat|load|executable|entrypoint)\b.*(permission denied|is a directory|operation not permitted)"
        r"|not executable|oci permission denied",
        "command_not_executable",
        "",
    ),
    (r"contain null|invalid argument|argument list too long", "invalid_spec", "Correct the job's spec."),
)

SUMMARIES: Mapping[str, str] = {
    "wrong_platform": "The command `{command}` is not for this processor.",
    "bad_user": "It cannot run as user {user}.",
    "bad_working_dir": "The working directory `{working_dir}` cannot be used.",
    "command_not_found": "The command `{command}` was not found.",
    "command_not_executable": "The command `{command}` cannot be executed.",
    "disk_full": "There was no space left on the node's disk.",
    "pids_exhausted": "There was no process left to start it with.",
    "oom_killed": "It ran out of memory while it was started.",
    "unschedulable": "The node cannot give the container what it asks for.",
    "invalid_spec": "The node cannot start the container as it was asked for.",
    "internal_error": "The node could not start the container.",
}

REMEDIES: Mapping[str, str] = {
    "command_not_found": "Check the spelling and that the image contains it; give a path or a program on its PATH. Of a script, "
    "the interpreter in its first line must exist in the image.",
    "command_not_executable": "Make it a file with the executable bit that this user may run (chmod +x).",
    "internal_error": "Try again; if it stays, look at the kubelet's log on that node.",
}

# runc replaces itself by the program only after the start was reported: what fails there is in the output alone.
FATAL_EXEC = re.compile(
    r"^(standard_init_linux\.go:\d+: )?exec (user process caused|\S+): "
    r"(?P<why>exec format error|no such file or directory|permission denied)$"
)


def reason_of(text: str) -> tuple[str, str] | None:
    """The code and the remedy for a sentence about a container that cannot start, if we know it."""
    for pattern, code, remedy in REASONS:
        if re.search(pattern, text, re.IGNORECASE):
            return code, remedy or REMEDIES[code]
    return None


def told_by_code(exit_code: int | None) -> tuple[str, str]:
    """The same where the words tell nothing, or there are none: 127 and 126 are what runtimes give, as shells do."""
    code = {127: "command_not_found", 126: "command_not_executable"}.get(exit_code or 0, "internal_error")
    return code, REMEDIES[code]


def fatal_exec(message: str) -> str:
    """The sentence about a program that could not even be executed, if the whole output is that."""
    found = FATAL_EXEC.fullmatch(message.strip())
    return f"exec: {found['why']}" if found else ""
