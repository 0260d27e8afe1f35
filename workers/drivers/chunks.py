"""HTTP/1.1 chunked transfer coding undone in bulk. Pure, and of no runtime.

http.client needs several calls for every chunk, and those who serve logs send one for every line.
"""

from __future__ import annotations


class Chunks:
    """`ended`: the last chunk has come, so nothing was cut off."""

    def __init__(self) -> None:
        self._rest = b""
        self.ended = False

    def feed(self, data: bytes) -> bytes:
        """The payload of all chunks that are complete."""
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
