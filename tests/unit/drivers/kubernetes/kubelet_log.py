"""A container's log as the runtime writes it and the kubelet serves it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

PART_BYTES = 16 * 1024
NS = 1_000_000_000
START = 1_795_297_567  # 2026-11-21T21:46:07Z


@dataclass(frozen=True)
class Entry:
    """A line of the runtime's file: a whole line, or a part of a long one."""

    at_ns: int
    data: bytes
    stream: str = "Stdout"


def written(at_ns: int, line: bytes, *, step_ns: int = 1, stream: str = "Stdout") -> list[Entry]:
    """A line of output as the runtime stores it: cut at 16 KiB, each part with a stamp of its own."""
    cuts = range(0, max(1, len(line.removesuffix(b"\n"))), PART_BYTES)
    parts = [line[cut : cut + PART_BYTES] for cut in cuts]
    if line.endswith(b"\n") and not parts[-1].endswith(b"\n"):
        parts[-1] += b"\n"
    return [Entry(at_ns + number * step_ns, part, stream) for number, part in enumerate(parts)]


def served(entries: Sequence[Entry], tail: int | None = None, *, trimmed: bool = False, stream: str = "") -> bytes:
    """With `timestamps=true`: only what begins a line has a stamp, whichever stream the line before it was of."""
    answer, begins = [], True
    for entry in entries if tail is None else entries[max(0, len(entries) - tail) :]:
        if stream in ("", entry.stream):
            answer.append(stamp(entry.at_ns, trimmed=trimmed) + entry.data if begins else entry.data)
        begins = entry.data.endswith(b"\n")
    return b"".join(answer)


def stamp(at_ns: int, *, trimmed: bool = False) -> bytes:
    second, nanos = divmod(at_ns, NS)
    fraction = f"{nanos:09d}"
    if trimmed:
        fraction = fraction.rstrip("0")
    point = "." if fraction else ""
    return f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%S}{point}{fraction}Z ".encode()


def output(entries: Iterable[Entry]) -> bytes:
    return b"".join(entry.data for entry in entries)
