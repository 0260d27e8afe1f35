"""The processes of a container, as `ps` on the engine's machine lists them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workers.drivers.protocol import RunningProcess

ARGUMENTS = "-eo pid,stat,time,args"


def processes_of(answer: Mapping[str, Any]) -> list[RunningProcess]:
    """From `GET /containers/{id}/top` with ARGUMENTS; the columns come in that order."""
    return [
        RunningProcess(int(pid), state[:1], seconds_of(time), command)
        for pid, state, time, command in answer.get("Processes") or []
    ]


def seconds_of(time: str) -> float:
    """`[days-]hours:minutes:seconds`, or `minutes:seconds` from a smaller `ps`."""
    days, _, clock = time.rpartition("-")
    seconds = 0
    for part in clock.split(":"):
        seconds = seconds * 60 + int(part)
    return float(seconds + 86_400 * int(days or 0))
