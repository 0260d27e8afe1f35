"""The border with the operating system: behind it there are only `Unavailable` and `Refused`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from workers.drivers.protocol import Unavailable


@contextmanager
def border() -> Iterator[None]:
    """An error of the machine (disk full, no right, no more descriptors) says nothing about the job."""
    try:
        yield
    except OSError as error:
        raise Unavailable(f"process runtime: {error}") from error
