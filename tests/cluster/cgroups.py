"""Limits and figures of containers, by control groups of version 1; without them there are neither."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
KINDS = ("memory", "cpuacct")
NAME = "towline-cluster-"


class Cgroups:
    def __init__(self) -> None:
        self.name = f"{NAME}{os.getpid()}"
        for left in (group for kind in KINDS for group in (ROOT / kind).glob(f"{NAME}*")):
            if not Path("/proc", left.name.removeprefix(NAME)).exists():
                self.remove((*left.glob("*/"), left))

    def make(self, name: str, memory: int | None) -> tuple[Path, ...]:
        """Those that could be made, that of memory first."""
        made = []
        for kind in KINDS:
            folder = ROOT / kind / self.name / name
            with contextlib.suppress(OSError):
                folder.mkdir(parents=True)
                if kind == "memory" and memory:
                    (folder / "memory.limit_in_bytes").write_text(str(memory))
                made.append(folder)
        return tuple(made)

    def close(self) -> None:
        self.remove(tuple(ROOT / kind / self.name for kind in KINDS))

    @staticmethod
    def remove(groups: tuple[Path, ...]) -> None:
        for group in groups:
            with contextlib.suppress(OSError):
                group.rmdir()

    @staticmethod
    def oom_kills(groups: tuple[Path, ...]) -> int:
        lines = _read(groups, "memory.oom_control").splitlines()
        return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)

    @staticmethod
    def used(groups: tuple[Path, ...]) -> tuple[float, int] | None:
        """Seconds of cpu, and bytes of memory."""
        cpu, memory = _read(groups, "cpuacct.usage"), _read(groups, "memory.usage_in_bytes")
        return (int(cpu) / 10**9, int(memory)) if cpu and memory else None


def _read(groups: tuple[Path, ...], name: str) -> str:
    for group in groups:
        with contextlib.suppress(OSError):
            return (group / name).read_text()
    return ""
