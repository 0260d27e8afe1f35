"""Who and how big this machine is, as far as a process may use it."""

from __future__ import annotations

import hashlib
import os
import socket
from pathlib import Path

from workers.drivers.process.plan import own_arch
from workers.drivers.protocol import Engine

MACHINE_ID = Path("/etc/machine-id")
CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def place_of(root: Path) -> str:
    """The engine's id: this machine and this root folder. Another worker with both reaches the same jobs."""
    return "process-" + hashlib.sha256(f"{_machine()}\n{root}".encode()).hexdigest()[:24]


def probe(root: Path) -> Engine:
    kernel = os.uname()
    return Engine(
        id=place_of(root),
        runtime="process",
        version=kernel.release,
        arch=own_arch(),
        cpus=float(len(os.sched_getaffinity(0))),
        memory_bytes=_memory_bytes(),
        detail={"hostname": kernel.nodename, "root": str(root), "os": kernel.sysname},
    )


def _machine() -> str:
    """Containers mostly have no machine-id; their host name is as good, and as short-lived as their processes."""
    try:
        return MACHINE_ID.read_text().strip() or socket.gethostname()
    except OSError:
        return socket.gethostname()


def _memory_bytes() -> int:
    """Of the machine, or of the container that we are in."""
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limits = (_limit(path) for path in CGROUP_LIMITS)
    return min([machine, *(limit for limit in limits if limit is not None)])


def _limit(path: Path) -> int | None:
    try:
        text = path.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None
