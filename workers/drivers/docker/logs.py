"""Reading a container's log from a cursor: which part of it to ask for, and dropping what was read before.

The engine rotates its log when it has grown to some size, and a live stream across that loses and repeats lines without
a word. So a live stream is believed only while so little was ever stored that nothing can have been rotated; behind that
it just says when to look, and what is read are parts of the log as it lies there, joined to what was read before.

The stream is read below the SDK, which switches time-outs off and takes several calls for every line.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field

from docker.errors import NotFound
from requests import Response
from requests.exceptions import Timeout

from workers.drivers.docker.body import body_of
from workers.drivers.docker.connection import socket_of
from workers.drivers.docker.cursor import RACE_NS, Cursor
from workers.drivers.docker.frames import Frames
from workers.drivers.docker.joining import CursorNotFoundError, joined
from workers.drivers.docker.terminal import Terminal
from workers.drivers.output import Batch, Missing, Output

# Asking for the last few costs the engine nothing, asking `since` a scan of the whole file.
WINDOWS = (256, 16 * 1024, 1024**2)
SHORT_BYTES = 64 * 1024  # a log that is scanned as fast
POLL_SECONDS = 0.02

# Sends the request with these parameters and this read time-out in seconds.
OpenLog = Callable[[Mapping[str, str | int], float], Response]


@dataclass
class LogReader:
    """One reading of one container's log.

    `follow` goes on live until the engine ends the stream or is silent for `silence_seconds`; without it the log is
    read to its end, an unfinished last line included. `patience_seconds`: how long the engine may search a long log
    before its first word. `rotated_bytes`: the size at which it rotates its file. `loses_newlines`: see
    `Frames`. `terminal`: the container has one, see `Terminal`.
    """

    open_log: OpenLog
    cursor: str | None
    follow: bool
    silence_seconds: float
    patience_seconds: float
    rotated_bytes: int
    loses_newlines: bool = False
    terminal: bool = False
    _newest: tuple[int, int] | None = field(default=None, init=False)  # message at the end of what was read

    def __iter__(self) -> Iterator[Output]:
        after = Cursor.parse(self.cursor) if self.cursor else None
        try:
            if not self.follow:
                yield from self._behind(after, live=False)
            elif after is None or self._is_in_first_file(after):
                yield from self._live(after)
            else:
                yield from self._polled(after)
        except NotFound:
            yield Missing("removed")

    def _is_in_first_file(self, place: Cursor) -> bool:
        return place.size is not None and place.size < self.rotated_bytes

    def _live(self, after: Cursor | None) -> Iterator[Output]:
        for output in self._behind(after, live=True):
            if isinstance(output, Batch):
                place = Cursor.parse(output.cursor)
                if not self._is_in_first_file(place):
                    break
                after = place
            yield output
        else:
            return
        yield from self._polled(after)

    def _polled(self, after: Cursor | None) -> Iterator[Output]:
        """What is in the log, again and again as long as there is more."""
        while True:
            came = False
            for output in self._behind(after, live=False):
                yield output
                if isinstance(output, Batch):
                    after, came = Cursor.parse(output.cursor), True
            if came:
                time.sleep(POLL_SECONDS)
            elif not self._waited():
                return

    def _waited(self) -> bool:
        """For something newer than what was last read. False: there was none, the caller is to look around."""
        frames = Frames()
        try:
            for data in self._payload({"tail": 1}, live=True, searching=False):
                frames.feed(data)
                if frames.newest != self._newest:
                    return True
        except (TimeoutError, Timeout):
            pass
        return False

    def _behind(self, after: Cursor | None, *, live: bool) -> Iterator[Output]:
        if after is None:
            yield from self._read({}, 0, live=live)
            return
        short = after.size is not None and after.size < SHORT_BYTES
        for window in () if short or after.open_ns is not None else WINDOWS:
            try:
                yield from joined(after, self._read({"tail": window}, after.size, live=live), cut=True, ends=not live)
            except CursorNotFoundError:
                continue
            return
        may_begin_anywhere = after.size is not None and after.size >= self.rotated_bytes // 2
        cut = may_begin_anywhere and not self._begins_before(after.oldest_ns - RACE_NS)
        since = self._read({"since": after.since}, after.size, live=live, searching=True)
        yield from joined(after, since, cut=cut, ends=not live, whole=True)

    def _begins_before(self, at_ns: int) -> bool:
        """Whether the engine's log still has something so old."""
        frames = Frames()
        for data in self._payload({}, live=False, searching=True):
            frames.feed(data)
            if frames.oldest_ns is not None:
                return frames.oldest_ns < at_ns
        return False

    def _read(
        self, part: Mapping[str, str | int], size: int | None, *, live: bool, searching: bool = False
    ) -> Iterator[Batch]:
        frames = Frames(loses_newlines=self.loses_newlines, size=size)
        try:
            for data in self._payload(part, live=live, searching=searching):
                if (batch := frames.feed(data)) is not None:
                    yield batch
                if frames.trouble is not None:
                    raise frames.trouble
        except (TimeoutError, Timeout):  # in the body, or before the head, which may come with the first line only
            if not live:
                raise
        self._newest = frames.newest
        if not self.follow and (batch := frames.flush()) is not None:
            yield batch

    def _payload(self, part: Mapping[str, str | int], *, live: bool, searching: bool) -> Iterator[bytes]:
        pieces = self._body(part, live=live, searching=searching)
        return _framed(pieces, Terminal(loses_newlines=self.loses_newlines)) if self.terminal else pieces

    def _body(self, part: Mapping[str, str | int], *, live: bool, searching: bool) -> Iterator[bytes]:
        first_seconds = self.silence_seconds if live and not searching else self.patience_seconds
        asked = {"stdout": 1, "stderr": 1, "timestamps": 1, "follow": int(live), **part}
        with closing(self.open_log(asked, first_seconds)) as response:
            for number, data in enumerate(body_of(response)):
                if number == 0 and live:
                    socket_of(response).settimeout(self.silence_seconds)
                yield data


def _framed(pieces: Iterator[bytes], terminal: Terminal) -> Iterator[bytes]:
    for piece in pieces:
        yield terminal.feed(piece)
    yield terminal.flush()
