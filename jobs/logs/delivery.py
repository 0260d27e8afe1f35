"""How late output was stored, from the runtime's own stamp of each line on: a small histogram of an attempt. Pure."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from .block import Block
from .records import ENTRIES

BOUNDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)  # seconds, the upper ends of buckets
Delays = tuple[int, ...]  # lines by bucket, the last one without an end, and behind them all their milliseconds
NONE: Delays = (0,) * (len(BOUNDS) + 2)
_BOUNDS_NS = np.array(BOUNDS) * 1e9


def delays_of(known: Iterable[int] | None) -> Delays:
    """As stored; nothing where nothing is stored, or where buckets were others."""
    found = tuple(known or ())
    return found if len(found) == len(NONE) else NONE


def delayed(before: Delays, block: Block, now_ns: int) -> Delays:
    """With the lines of `block`, stored at `now_ns`. A runtime's clock that is ahead counts as no delay."""
    waited = np.maximum(now_ns - np.frombuffer(block.index, ENTRIES)["at_ns"], 0)
    places = np.searchsorted(_BOUNDS_NS, waited)
    counts = np.bincount(places, minlength=len(BOUNDS) + 1)
    added = (*counts.tolist(), int((waited // 1_000_000).sum()))
    return tuple(a + b for a, b in zip(before, added, strict=True))
