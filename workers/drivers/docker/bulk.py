"""Many frames taken apart at once, with arrays: no step of Python for each line but the cutting out of its bytes. Pure.

Only for what nearly all output is: every frame a whole line. For the rest see `Frames`.
"""

from __future__ import annotations

from calendar import timegm
from itertools import pairwise
from time import strptime
from typing import Any

import numpy as np
import numpy.typing as npt

from jobs.logs.block import Block

INDEX = np.dtype([("at_ns", "<i8"), ("length", "<u4"), ("stream", "u1")])  # an entry as in `jobs.logs.records`
HEAD = 8 + len("2026-11-21T23:43:48.000000001Z ")
NEWLINE, DOT, ZULU, BLANK = b"\n.Z "
_STAMP = np.arange(8, HEAD)
_POWERS = 10 ** np.arange(8, -1, -1, dtype=np.int64)
Index = npt.NDArray[Any]  # of INDEX


def whole_lines(data: bytes, starts: list[int], end: int) -> tuple[Block, Index] | None:
    """The lines of the frames that begin at `starts` and follow one another up to `end`. None if one is no whole line."""
    raw = np.frombuffer(data, np.uint8)
    begun = np.array(starts, np.int64)
    ended = np.append(begun[1:], end)
    streams = raw[begun]
    if (ended - begun).min() <= HEAD or (raw[ended - 1] != NEWLINE).any() or ((streams != 1) & (streams != 2)).any():
        return None
    stamps = raw[begun[:, None] + _STAMP]
    if (stamps[:, (19, 29, 30)] != (DOT, ZULU, BLANK)).any():
        return None
    index = np.empty(len(starts), INDEX)
    index["at_ns"] = _seconds(stamps[:, :19]) * 10**9 + (stamps[:, 20:29].astype(np.int64) - ord("0")) @ _POWERS
    index["length"] = ended - begun - HEAD
    index["stream"] = streams - 1
    lines = b"".join([data[first:last] for first, last in zip((begun + HEAD).tolist(), ended.tolist(), strict=True)])
    return Block(lines, index.tobytes()), index


def _seconds(stamps: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Read once for all that share a second."""
    found = np.empty(len(stamps), np.int64)
    changes = np.flatnonzero((stamps[1:] != stamps[:-1]).any(axis=1)) + 1
    bounds = [0, *changes.tolist(), len(stamps)]
    for first, last in pairwise(bounds):
        found[first:last] = second_of(stamps[first].tobytes())
    return found


def second_of(stamp: bytes) -> int:
    """Since the epoch, of `2026-11-21T23:43:48`."""
    return timegm(strptime(stamp.decode(), "%Y-%m-%dT%H:%M:%S"))


def ordinal_at(index: Index, number: int, before: tuple[int, int]) -> int:
    """Which one of its stream and stamp line `number` is, when `before` is the last stamp before them, and its ordinal."""
    line = index[number]
    twins = (index["stream"][: number + 1] == line["stream"]) & (index["at_ns"][: number + 1] == line["at_ns"])
    last_ns, ordinal = before
    return int(np.count_nonzero(twins)) + (ordinal if last_ns == line["at_ns"] else 0)


def last_of(index: Index, stream: int) -> int | None:
    """The number of the last line of a stream (1 or 2)."""
    found = np.flatnonzero(index["stream"] == stream - 1)
    return int(found[-1]) if found.size else None
