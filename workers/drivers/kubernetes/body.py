"""The body of a log request as it comes in: a lone line at once, many lines together when they come fast.

Read below urllib3, whose time-outs end a reading for good and which takes several calls for every chunk; the kubelet sends one
for every line.
"""

from __future__ import annotations

import select
import ssl
import time
from typing import Any

READ_BYTES = 128 * 1024
ENOUGH_BYTES = 512 * 1024
GATHER_SECONDS = 0.004  # what comes this soon behind the first is taken apart with it
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
        self._coding = _Chunked() if chunked else _Plain(int(length) if length else None)
        self._early = buffered.read(len(buffered.peek()))  # what came with the head
        self.ended = length == "0"

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
            time.sleep(NAP_SECONDS)
            pieces.append(self._received(0))
            size += len(pieces[-1])
        return b"".join(pieces)

    def _received(self, wait_seconds: float) -> bytes:
        """Empty if nothing came, or at the end of the connection, which is an end only of what has no other."""
        pending = isinstance(self._socket, ssl.SSLSocket) and self._socket.pending()
        if self.ended or not (pending or self._poll.poll(wait_seconds * 1000)):
            return b""
        try:
            data = self._socket.recv(READ_BYTES)
        except (BlockingIOError, ssl.SSLWantReadError):
            return b""
        if not data:
            self.ended = True
            if not self._coding.may_end:
                raise ConnectionError("it broke off in the middle of the log")
        return bytes(data)


class _Chunked:
    """HTTP/1.1 chunked transfer coding undone in bulk."""

    def __init__(self) -> None:
        self._rest = b""
        self.ended = False

    @property
    def may_end(self) -> bool:
        return self.ended

    def feed(self, data: bytes) -> bytes:
        data = self._rest + data
        payload = []
        start = 0
        while not self.ended and (line := data.find(b"\r\n", start)) >= 0:
            size = int(data[start:line].partition(b";")[0], 16)
            end = line + 2 + size
            if end + 2 > len(data):
                break
            payload.append(data[line + 2 : end])
            start = end + 2
            self.ended = size == 0
        self._rest = data[start:]
        return b"".join(payload)


class _Plain:
    """So many bytes, or all until the connection is closed."""

    def __init__(self, length: int | None) -> None:
        self._left = length
        self.ended = False

    @property
    def may_end(self) -> bool:
        return self._left is None or self.ended

    def feed(self, data: bytes) -> bytes:
        if self._left is not None:
            data = data[: self._left]
            self._left -= len(data)
            self.ended = self._left == 0
        return data
