"""Zstandard, as of Python 3.14; before it the same interface from its backport."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

LIVE_LEVEL = 1  # while the job runs: as fast as the disk
KEPT_LEVEL = 6  # for years


def squeeze(data: bytes, level: int = LIVE_LEVEL) -> bytes:
    return zstd.compress(data, level=level)


def squeeze_on(pieces: Iterable[bytes], level: int = LIVE_LEVEL) -> Iterator[bytes]:
    """One frame of all the pieces, in pieces of its own."""
    compressor = zstd.ZstdCompressor(level=level)
    for piece in pieces:
        if squeezed := compressor.compress(piece):
            yield squeezed
    yield compressor.flush()


def expand(squeezed: bytes | memoryview) -> bytes:
    return zstd.decompress(squeezed)
