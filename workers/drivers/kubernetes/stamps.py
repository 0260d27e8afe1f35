"""The stamps that the kubelet puts before lines, read singly and many at once. Pure."""

from __future__ import annotations

import re
from calendar import timegm
from functools import lru_cache
from itertools import pairwise
from time import strptime
from typing import Any

import numpy as np
import numpy.typing as npt

NS = 1_000_000_000
STAMP_MOST = 36
_STAMP = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d) ")
_WIDTHS = (len("2026-11-21T23:43:48.000000001Z "), len("2026-11-21T23:43:48.000000001+01:00 "))
_POWERS = 10 ** np.arange(8, -1, -1, dtype=np.int64)
_MARKS = (4, 7, 10, 13, 16, 19)
_ZONE = 29
Ints = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]


def stamp_of(line: bytes) -> tuple[int, int] | None:
    """Nanoseconds since the epoch, and where the output begins. None: it has no stamp, so it is no output."""
    found = _STAMP.match(line)
    if found is None:
        return None
    second, fraction, zone = found.groups()
    try:
        return _second_of(second, zone) * NS + int((fraction or b"").ljust(9, b"0")), found.end()
    except ValueError:  # looks like one, but no clock says so
        return None


def stamps_of(data: bytes, begun: Ints) -> tuple[Ints, int] | None:
    """Of all lines that begin at these places, and how wide each is. None if they aren't all alike: read them singly."""
    first = _STAMP.match(data, int(begun[0]))
    width = first.end() - first.start() if first else 0
    if width not in _WIDTHS or begun[-1] + width > len(data):
        return None
    # A view of the bytes behind every place, of which only those at the beginnings are copied.
    every = np.ndarray((len(data) - width + 1,), f"V{width}", data, 0, (1,))
    stamps: Bytes = every[begun].view(np.uint8).reshape(-1, width)
    fixed = [*_MARKS, *range(_ZONE, width)]
    fraction = stamps[:, 20:_ZONE] - ord("0")
    if (stamps[:, fixed] != stamps[0, fixed]).any() or (fraction > 9).any():
        return None
    try:
        return _seconds_of(stamps) * NS + fraction.astype(np.int64) @ _POWERS, width
    except ValueError:
        return None


def _seconds_of(stamps: npt.NDArray[Any]) -> Ints:
    """Read once for all that share a second."""
    found = np.empty(len(stamps), np.int64)
    zone = stamps[0, _ZONE:-1].tobytes()
    seconds = np.ascontiguousarray(stamps[:, :19]).view("S19").ravel()
    changes = np.flatnonzero(seconds[1:] != seconds[:-1]) + 1
    for first, last in pairwise([0, *changes.tolist(), len(stamps)]):
        found[first:last] = _second_of(stamps[first, :19].tobytes(), zone)
    return found


@lru_cache(maxsize=64)
def _second_of(second: bytes, zone: bytes) -> int:
    """Since the epoch. A node that is not set to UTC writes its own time, and how far it is from there."""
    at = timegm(strptime(second.decode(), "%Y-%m-%dT%H:%M:%S"))
    if zone == b"Z":
        return at
    ahead = int(zone[1:3]) * 3600 + int(zone[4:6]) * 60
    return at - ahead if zone[:1] == b"+" else at + ahead
