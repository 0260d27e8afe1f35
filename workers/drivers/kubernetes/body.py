"""The body of a log request as it comes in: a lone line at once, many lines together when they come fast.

Read below urllib3, whose time-outs end a reading for good and which takes several calls for every chunk; the kubelet sends one
for every line.
"""

from __future__ import annotations

import select
import ssl
import time
from typing import Any

from workers.drivers.chunks import Chunks

READ_BYTES = 128 * 1024
ENOUGH_BYTES = 512 * 1024
NO_CONTENT = 204  # of a pod that has no node; no body follows, and nothing says so but this
GATHER_SECONDS = 0.004  # what comes this soon behind the first is taken apart with it
RECORD_BYTES = 16 * 1024  # TLS gives no more at a time, however much is there
WANTS_MORE = (BlockingIOError, ssl.SSLWantReadError)
NAP_SECONDS = 0.0005  # between two looks; in a flood it is the kernel that collects lines meanwhile, at no cost


class Body:
    """`ended`: it came to its end as HTTP has it. That says nothing of the log."""

    def __init__(self, response: Any) -> None:
        buffered = response._fp.fp
        self._socket = buffered.raw._sock
        self._socket.settimeout(0)
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)
        chunked = response.headers.get("Transfer-Encoding", "").lower() == "chunked"
        length = response.headers.get("Content-Length")
        self._coding = Chunks() if chunked else _Plain(int(length) if length else None)
        self._endless = not (chunked or length)  # only the end of the connection ends it
        self._early = _buffered(buffered)
        self.ended = length == "0" or response.status == NO_CONTENT

    def read(self, wait_seconds: float) -> bytes:
        """What there is, and what comes right behind it. Empty after so long without anything, or at the end.

        Raises `ConnectionError` when it breaks off in the middle.
        """
        while not self.ended:
            data = self._gathered(wait_seconds)
            if not data:
                return b""
            if payload := self._coding.feed(data):
                self.ended = self._coding.ended
                return payload
            self.ended = self._coding.ended
        return b""

    def _gathered(self, wait_seconds: float) -> bytes:
        pieces = [self._early or self._received(wait_seconds)]
        self._early = b""
        size, limit = len(pieces[0]), time.monotonic() + GATHER_SECONDS
        while pieces[-1] and size < ENOUGH_BYTES and time.monotonic() < limit:
            if len(pieces[-1]) < RECORD_BYTES:
                time.sleep(NAP_SECONDS)
            pieces.append(self._received(0))
            size += len(pieces[-1])
        return b"".join(pieces)

    def _received(self, wait_seconds: float) -> bytes:
        """Empty if nothing came in so long, or at the end of the connection, which is an end only of what has no other."""
        limit = time.monotonic() + wait_seconds
        while not self.ended and self._is_ready(limit - time.monotonic()):
            try:
                data = bytes(self._socket.recv(READ_BYTES))
            except WANTS_MORE:  # below TLS part of a record came, or one without payload: that is no silence
                if time.monotonic() < limit:
                    continue
                break
            if not data:
                self.ended = True
                if not self._may_end:
                    raise ConnectionError("it broke off in the middle of the log")
            return data
        return b""

    def _is_ready(self, wait_seconds: float) -> bool:
        if isinstance(self._socket, ssl.SSLSocket) and self._socket.pending():
            return True
        return bool(self._poll.poll(max(0, wait_seconds) * 1000))

    @property
    def _may_end(self) -> bool:
        return self._coding.ended or self._endless


class _Plain:
    """So many bytes, or all until the connection is closed."""

    def __init__(self, length: int | None) -> None:
        self._left = length
        self.ended = False

    def feed(self, data: bytes) -> bytes:
        if self._left is not None:
            data = data[: self._left]
            self._left -= len(data)
            self.ended = self._left == 0
        return data


def _buffered(stream: Any) -> bytes:
    """What came with the head. A connection that is broken already will say so when it is read."""
    try:
        return bytes(stream.read(len(stream.peek())))
    except OSError:  # nothing did; below TLS that is no empty answer
        return b""
