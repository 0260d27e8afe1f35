"""Which blocks of a log can't hold a text: of every three bytes in a row that occur in a block, a bit is set. Pure.

Letters A to Z count as small ones, so that one filter serves searches that mind case and those that do not.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BITS_MOST = 18  # 2**18 bits, 32 KiB, of a block of a MiB: three per cent
BITS_LEAST = 9
FULL_ENOUGH = 0.08  # a filter is folded as long as it has no more of its bits set than that
_MIX, _8, _16 = np.uint32(2654435761), np.uint32(8), np.uint32(16)
Filter = NDArray[np.uint8]


def filter_of(data: bytes) -> bytes:
    """2**n bits, as few as tell enough."""
    bits = np.zeros(1 << BITS_MOST, bool)
    bits[_hashed(data.lower()) >> np.uint32(32 - BITS_MOST)] = True
    size = BITS_MOST
    while size > BITS_LEAST:
        folded = np.logical_or(bits[0::2], bits[1::2])
        if folded.mean() > FULL_ENOUGH:
            break
        bits, size = folded, size - 1
    return np.packbits(bits).tobytes()


def may_hold(filters: list[memoryview], texts: list[bytes]) -> list[bool]:
    """For each filter: whether its block may hold all the texts. True is no promise, False is."""
    if not texts:
        return [True] * len(filters)
    hashes = np.unique(np.concatenate([_hashed(text.lower()) for text in texts]))
    return [_has_all(np.frombuffer(each, np.uint8), hashes) for each in filters]


def _has_all(bits: Filter, hashes: NDArray[np.uint32]) -> bool:
    places = hashes >> np.uint32(32 - (len(bits) * 8).bit_length() + 1)
    return bool((bits[places >> 3] & (0x80 >> (places & 7)).astype(np.uint8)).all())


def _hashed(data: bytes) -> NDArray[np.uint32]:
    """Of every three bytes in a row; the top bits are the good ones."""
    if len(data) < 3:
        return np.zeros(0, np.uint32)
    each = np.frombuffer(data, np.uint8).astype(np.uint32)
    mixed: NDArray[np.uint32] = ((each[:-2] << _16) | (each[1:-1] << _8) | each[2:]) * _MIX
    return mixed
