"""Reading a container's log from a cursor: which part of it to ask for, and dropping what was read before.

The stream is read below the SDK, which switches time-outs off and takes several calls for every line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import BinaryIO

from docker.errors import NotFound
from requests import Response
from requests.exceptions import Timeout

from workers.drivers.docker.connection import socket_of
from workers.drivers.docker.cursor import RACE_NS, Cursor
from workers.drivers.docker.frames import NAMES, Chunks, Frames
from workers.drivers.protocol import Line

READ_BYTES = 128 * 1024
WINDOW_MESSAGES = 256  # asking for the last few costs the engine nothing, asking `since` a scan of the whole file

# Sends the request with these parameters and this read time-out in seconds.
OpenLog = Callable[[Mapping[str, str | int], float], Response]


class CursorNotFoundError(Exception):
    """The window does not reach back to the cursor."""


@dataclass(frozen=True)
class LogReader:
    """One reading of one container's log.

    `follow` goes on live until the engine ends the stream or is silent for `silence_seconds`; without it the log is
    read to its end, an unfinished last line included. `patience_seconds`: how long the engine may search a long log
    before its first word. `loses_newlines`: see `Frames`.
    """

    open_log: OpenLog
    cursor: str | None
    follow: bool
    silence_seconds: float
    patience_seconds: float
    loses_newlines: bool = False

    def __iter__(self) -> Iterator[Line]:
        if self.cursor is None:
            yield from self._read({}, searching=False)
            return
        after = Cursor.parse(self.cursor)
        if after.open_ns is None:
            try:
                yield from behind(after, self._read({"tail": WINDOW_MESSAGES}, searching=False), whole=False)
            except CursorNotFoundError:
                pass
            else:
                return
        yield from behind(after, self._read({"since": after.since}, searching=True), whole=True)

    def _read(self, part: Mapping[str, str | int], *, searching: bool) -> Iterator[Line]:
        asked = {"stdout": 1, "stderr": 1, "timestamps": 1, "follow": int(self.follow), **part}
        frames = Frames(loses_newlines=self.loses_newlines)
        try:
            for data in self._payload(asked, searching=searching):
                yield from frames.feed(data)
        except (TimeoutError, Timeout):  # in the body, or before the head, which may come with the first line only
            if not self.follow:
                raise
        if not self.follow:
            yield from frames.flush()

    def _payload(self, asked: Mapping[str, str | int], *, searching: bool) -> Iterator[bytes]:
        first_seconds = self.silence_seconds if self.follow and not searching else self.patience_seconds
        try:
            response = self.open_log(asked, first_seconds)
        except NotFound:
            return
        with closing(response):
            for number, data in enumerate(payload_of(response)):
                if number == 0 and self.follow:
                    socket_of(response).settimeout(self.silence_seconds)
                yield data


def payload_of(response: Response) -> Iterator[bytes]:
    """The body as it comes in, many lines at a time when they come fast.

    Raises `TimeoutError` on silence, and `ConnectionError` when it breaks off: an engine that dies must not look like
    the end of the log.
    """
    stream: BinaryIO = response.raw._fp.fp  # type: ignore[union-attr]  # buffered, where http.client has read the head
    if response.headers.get("Transfer-Encoding", "").lower() != "chunked":
        while data := stream.read1(READ_BYTES):  # type: ignore[attr-defined]  # BufferedReader has it
            yield data
        return
    chunks = Chunks()
    while not chunks.ended and (data := stream.read1(READ_BYTES)):  # type: ignore[attr-defined]
        yield chunks.feed(data)
    if not chunks.ended:
        raise ConnectionError("the engine broke off in the middle of the log")


def behind(after: Cursor, lines: Iterator[Line], *, whole: bool) -> Iterator[Line]:
    """The lines behind a cursor.

    `whole` False: the lines begin anywhere, so an ordinal counts only when its stream was seen with an older stamp
    first; raises `CursorNotFoundError` before it has yielded anything if the cursor's line does not come. `whole` True:
    all lines since the cursor's stamp; if it is not among them (the engine has rotated it away), all newer ones are
    behind it.
    """
    anchored = whole
    for line in lines:
        same = line.stream == NAMES[after.stream]
        if same and anchored and f"{line.cursor}:".startswith(f"{after.mark}:"):
            break
        if same and line.at_ns < after.at_ns:
            anchored = True
        elif same and not anchored:
            raise CursorNotFoundError
        elif oldest_of(line) > after.at_ns + (0 if same else RACE_NS):
            if not whole:
                raise CursorNotFoundError
            yield line
            break
    else:
        if not whole:
            raise CursorNotFoundError
    yield from lines


def oldest_of(line: Line) -> int:
    """The stamp of the line, or of one that is still open behind it: the line sought may be a long one ending later."""
    open_ns = Cursor.parse(line.cursor).open_ns
    return line.at_ns if open_ns is None else min(line.at_ns, open_ns)
