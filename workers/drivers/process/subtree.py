"""The processes of a job, as /proc shows them: who descends from whom, what they use, and their end. Linux only.

Shared with the shim. The shim is a *subreaper*: whatever a job forks and forgets becomes the shim's child, so the
job's processes are always exactly the shim's descendants, as they would be a container's.
"""

# The shim does without pathlib: 5 ms and a megabyte.
# ruff: noqa: PTH123, PTH208
from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Callable, Iterable
from contextlib import suppress

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
KILL_AT_ONCE = 1000

_libc = ctypes.CDLL(None, use_errno=True)


def become_subreaper() -> None:
    _libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent ends. Survives exec, not fork."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def boot_id() -> str:
    return _read("/proc/sys/kernel/random/boot_id").decode().strip()


class Process:
    """One line of /proc/<pid>/stat. A pid alone names nobody: pids are used again, (pid, start_ticks) are not."""

    def __init__(self, pid: int, stat: bytes) -> None:
        fields = stat[stat.rindex(b")") + 2 :].split()
        self.pid = pid
        self.letter = fields[0].decode()  # of what it does: R, S, D …
        self.parent = int(fields[1])
        self.group = int(fields[2])
        self.own_ticks = int(fields[11]) + int(fields[12])
        self.reaped_ticks = int(fields[13]) + int(fields[14])
        self.threads = int(fields[17])
        self.start_ticks = int(fields[19])
        self.rss_bytes = int(fields[21]) * PAGE_BYTES


def look(pid: int) -> Process | None:
    """None if there is no such process."""
    stat = _read(f"/proc/{pid}/stat")
    return Process(pid, stat) if stat else None


def command(pid: int) -> str:
    """With its arguments; empty for a zombie."""
    return _read(f"/proc/{pid}/cmdline").replace(b"\0", b" ").decode(errors="replace").strip()


def descendants(pid: int, enough: int = 2**31) -> list[int]:
    """All of them, parents before their children; no more than it takes to know that there are `enough`."""
    found = children(pid)
    for each in found:  # grows while we go
        if len(found) >= enough:
            break
        found += children(each)
    return found


def children(pid: int) -> list[int]:
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []
    return [int(each) for tid in threads for each in _read(f"/proc/{pid}/task/{tid}/children").split()]


def rss_bytes(processes: Iterable[Process]) -> int:
    """Cheap, and too high where processes share memory."""
    return sum(each.rss_bytes for each in processes)


def memory_bytes(pids: Iterable[int]) -> int:
    """What they hold, shared pages counted once (PSS). Costs a walk over their page tables."""
    return sum(_pss_bytes(pid) for pid in pids)


def _pss_bytes(pid: int) -> int:
    for line in _read(f"/proc/{pid}/smaps_rollup").splitlines():
        if line.startswith(b"Pss:"):
            return int(line.split()[1]) * 1024
    process = look(pid)  # another user's, or a zombie
    return process.rss_bytes if process else 0


def end_all(reaped: Callable[[int, int], None]) -> None:
    """Kill every descendant of this process and reap it, until there is none. `reaped` gets pid and wait status."""
    while True:
        _kill([seen for pid in descendants(os.getpid(), KILL_AT_ONCE) if (seen := look(pid))])
        if not reap(reaped):
            return
        time.sleep(0.002)


def reap(reaped: Callable[[int, int], None]) -> bool:
    """Reap all that have ended. Whether any child is left."""
    try:
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            reaped(*ended)
    except ChildProcessError:
        return False
    return True


def _kill(processes: list[Process]) -> None:
    """By group first: that is atomic, so what forks faster than we look does not get away."""
    for group in {each.group for each in processes} - {0, 1, os.getpgid(0)}:  # 0 means ours, and 1 everybody
        with suppress(ProcessLookupError, PermissionError):  # it ended, or runs as another user now
            os.killpg(group, signal.SIGKILL)
    for each in processes:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(each.pid, signal.SIGKILL)


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""
