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

from workers.drivers.docker.cursor import RACE_NS, Cursor
from workers.drivers.docker.frames import NAMES, Chunks, Frames
from workers.drivers.protocol import Line

READ_BYTES = 128 * 1024
WINDOW_MESSAGES = 256  # asking for the last few costs the engine nothing, asking `since` a scan of the whole file

OpenLog = Callable[[Mapping[str, str | int]], Response]


class CursorNotFoundError(Exception):
    """The window does not reach back to the cursor."""


@dataclass
class LogReader:
    """One reading of one container's log. `open_log` sends the request with the given parameters.

    `follow` goes on live until the engine ends the stream or is silent for as long as the request's read time-out;
    without it the log is read to its end, an unfinished last line included. After iterating, `silent` says which end
    it was and `cursor` where we are.
    """

    open_log: OpenLog
    cursor: str | None
    follow: bool
    silent: bool = False

    def __iter__(self) -> Iterator[Line]:
        for line in self._from_cursor():
            self.cursor = line.cursor
            yield line

    def _from_cursor(self) -> Iterator[Line]:
        if self.cursor is None:
            yield from self._read({})
            return
        after = Cursor.parse(self.cursor)
        if after.open_ns is None:
            try:
                yield from behind(after, self._read({"tail": WINDOW_MESSAGES}), whole=False)
            except CursorNotFoundError:
                self.silent = False
            else:
                return
        yield from behind(after, self._read({"since": after.since}), whole=True)

    def _read(self, part: Mapping[str, str | int]) -> Iterator[Line]:
        asked = {"stdout": 1, "stderr": 1, "timestamps": 1, "follow": int(self.follow), **part}
        frames = Frames()
        try:
            with closing(self.open_log(asked)) as response:
                for data in payload_of(response):
                    yield from frames.feed(data)
        except NotFound:
            return
        except (TimeoutError, Timeout):  # in the body, or before the head: some engines send it with the first line
            self.silent = True
            return
        if not self.follow:
            yield from frames.flush()


def payload_of(response: Response) -> Iterator[bytes]:
    """The body as it comes in, many lines at a time when they come fast. Raises `TimeoutError` on silence."""
    stream: BinaryIO = response.raw._fp.fp  # type: ignore[union-attr]  # the socket's buffered file, where http.client has read the head
    if response.headers.get("Transfer-Encoding", "").lower() != "chunked":
        while data := stream.read1(READ_BYTES):  # type: ignore[attr-defined]  # BufferedReader has it
            yield data
        return
    chunks = Chunks()
    while not chunks.ended and (data := stream.read1(READ_BYTES)):  # type: ignore[attr-defined]
        yield chunks.feed(data)


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
        elif line.at_ns > after.at_ns + (0 if same else RACE_NS):
            if not whole:
                raise CursorNotFoundError
            yield line
            break
    else:
        if not whole:
            raise CursorNotFoundError
    yield from lines
