"""Zstandard, as of Python 3.14; before it the same interface from its backport."""

from __future__ import annotations

import sys

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

LIVE_LEVEL = 1  # while the job runs: as fast as the disk
KEPT_LEVEL = 6  # for years


def squeeze(data: bytes, level: int = LIVE_LEVEL) -> bytes:
    return zstd.compress(data, level=level)


def expand(squeezed: bytes | memoryview) -> bytes:
    return zstd.decompress(squeezed)
