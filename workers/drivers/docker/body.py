"""The body of a streamed answer as it comes in: a lone line at once, many lines together when they come fast."""

from __future__ import annotations

import select
import time
from collections.abc import Iterator
from typing import BinaryIO

from requests import Response

from workers.drivers.chunks import Chunks
from workers.drivers.docker.connection import socket_of

READ_BYTES = 128 * 1024
ENOUGH_BYTES = 512 * 1024
GATHER_SECONDS = 0.004  # the engine writes line by line: what comes this soon behind the first is taken apart with it
NAP_SECONDS = 0.0005  # between two looks; in a flood it is the kernel that collects lines meanwhile, at no cost


def body_of(response: Response) -> Iterator[bytes]:
    """Raises `TimeoutError` on silence, and `ConnectionError` when it breaks off: an engine that dies must not look like
    the end of the log."""
    stream: BinaryIO = response.raw._fp.fp  # type: ignore[union-attr]  # buffered, where http.client has read the head
    ready = select.poll()
    ready.register(socket_of(response), select.POLLIN)
    if response.headers.get("Transfer-Encoding", "").lower() != "chunked":
        while data := _gathered(stream, ready):
            yield data
        return
    chunks = Chunks()
    while not chunks.ended and (data := _gathered(stream, ready)):
        yield chunks.feed(data)
    if not chunks.ended:
        raise ConnectionError("the engine broke off in the middle of the log")


def _gathered(stream: BinaryIO, ready: select.poll) -> bytes:
    """What there is, and what comes right behind it; empty at the end."""
    pieces = [stream.read1(READ_BYTES)]  # type: ignore[attr-defined]  # BufferedReader has it
    size, limit = len(pieces[0]), time.monotonic() + GATHER_SECONDS
    while pieces[-1] and size < ENOUGH_BYTES and time.monotonic() < limit:
        time.sleep(NAP_SECONDS)
        if not ready.poll(0):
            break
        pieces.append(stream.read1(READ_BYTES))  # type: ignore[attr-defined]
        size += len(pieces[-1])
    return b"".join(pieces)
