"""Reading a pod's output, or one stream of it, from a cursor: what to ask the kubelet for, and finding our place in what it serves.

It serves its newest file only, and an answer ends or falls silent for many reasons: a rotation, the API server's end, a time-out
on the way. So the end of an answer says nothing, and going on means to find the cursor's line again. It is looked for in the
last lines of the file, then in more, then in all of it (`tailLines`), by place and never by time: `sinceTime` would hide
what a node writes whose clock was set back. If the file has lines and that one is not among them, it was rotated away.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from workers.drivers.kubernetes.answers import EndedError, UntoldError, is_refusal, meaning_of, says_gone
from workers.drivers.kubernetes.body import Body
from workers.drivers.kubernetes.cursor import Cursor
from workers.drivers.kubernetes.lines import Lines
from workers.drivers.kubernetes.parking import Answer, Parking
from workers.drivers.kubernetes.reading import JOB
from workers.drivers.output import Batch, Missing, Output, Stream
from workers.drivers.protocol import Phase, Unavailable, Unreadable

WINDOWS = (256, 16 * 1024)  # lines: the kubelet finds the end of its file at no cost, and parses all that it serves
SHORT_BYTES = 64 * 1024  # a log that is served whole as fast
DOUBTFUL_BYTES = 64 * 1024  # what takes so long may have been cut off by the kubelet's end, which looks like its own
READ_SECONDS = 30.0  # without a byte in the middle of what lies there
QUIET_SECONDS = 0.5  # behind which an answer has served what lay there
LINGER_SECONDS = 2.0  # the kubelet looks once a second whether what it follows still runs
TICK_SECONDS = 1.0
LEAST_BYTES = 20  # that a line is served with, its stamp


class Streaming(Protocol):
    """What is needed of `Cluster`."""

    def stream(
        self, path: str, *, query: Mapping[str, str] | None = None, read_seconds: float
    ) -> AbstractContextManager[Any]: ...


def path_of(pod: tuple[str, str]) -> str:
    namespace, name = pod
    return f"/api/v1/namespaces/{namespace}/pods/{name}/log"


def never() -> bool:
    return False


@dataclass
class LogReader:
    """One reading of one pod's log, from `after`, which goes along.

    `selects`: of this one stream only, where the cluster offers it; there is no `tailLines` then. `stopping`: nobody wants more.
    """

    cluster: Streaming
    pod: tuple[str, str]
    after: Cursor | None
    stream: Stream
    look: Callable[[], Phase]
    wait: Callable[[float], None]
    silence_seconds: float
    parking: Parking
    selects: bool = False
    stopping: Callable[[], bool] = never

    def live(self) -> Iterator[Output]:
        """Until the answer ends, or nothing came for so long: then it is kept, and the next reading goes on with it."""
        tries = 0
        try:
            answer = self.parking.take(self._key, self.after) or self._follow(0)
            while not (yield from self._listen(answer)):
                before = self.after
                yield from self._behind()
                tries = tries + 1 if self.after == before else 0
                answer = self._follow(tries)
        except EndedError as ended:
            if ended.missing:
                yield ended.missing
            else:
                self.wait(TICK_SECONDS)

    def read_out(self, patience_seconds: float) -> Iterator[Output]:
        """What lies there, an unfinished last line too."""
        self.parking.close(self._key)
        limit = time.monotonic() + patience_seconds
        while True:
            try:
                yield from self._to_the_end()
            except EndedError as ended:
                if ended.missing:
                    yield ended.missing
            except Unreadable as error:
                if time.monotonic() < limit:
                    self.wait(TICK_SECONDS)
                    continue
                if not says_gone(str(error)):
                    raise
                yield Missing("removed")
            return

    def lying(self) -> Iterator[Batch]:
        """All whole lines that lie there, from the first."""
        yield from self._lying(Lines(self.stream, alone=self.selects), None)

    def _to_the_end(self) -> Iterator[Output]:
        rest = None
        while True:
            lines, came = yield from self._behind()
            same, rest = lines.rest == rest, lines.rest
            if (same and not came) or came + len(rest) < DOUBTFUL_BYTES:
                break
        if (batch := lines.finish()) is not None:
            yield self._passed(batch)

    def _behind(self) -> Generator[Output, None, tuple[Lines, int]]:
        """All whole lines behind the cursor that lie there; what is left then, and how much came."""
        came = 0
        for window in self._windows:
            lines = self._lines(window)
            for batch in self._lying(lines, window):
                came += len(batch.block.data)
                yield self._passed(batch)
            if not lines.found:
                lines.finish()  # the cursor may be behind the unfinished last line
            if lines.found:
                return lines, came
        since, lines = self.after, Lines(self.stream, alone=self.selects)
        for batch in self._lying(lines, None):
            if not came and since is not None:
                yield Missing("rotated", since.at_ns, next(iter(batch.block))[2])
            came += len(batch.block.data)
            yield self._passed(batch)
        return lines, came

    def _lying(self, lines: Lines, window: int | None) -> Iterator[Batch]:
        answer = self._ask(lines, window, live=False)
        try:
            while not answer.body.ended:
                data = answer.read(READ_SECONDS)
                if not data and not answer.body.ended:
                    raise Unavailable(f"no more of the log came for {READ_SECONDS:g} s")
                if (batch := lines.feed(data)) is not None:
                    yield batch
        except OSError as error:
            raise Unavailable(f"the log broke off: {error}") from error
        finally:
            answer.close()
        if word := lines.last_word():
            raise self._unreadable(word)

    def _listen(self, answer: Answer) -> Generator[Output, None, bool]:
        """Give what comes. False: our place is not in it, or it can't be trusted; what lies there is to be read instead."""
        lines, began = answer.lines, time.monotonic()
        try:
            while not (answer.body.ended or lines.trouble):
                data = self._heard(answer)
                if (batch := lines.feed(data)) is not None:
                    yield self._passed(batch)
                if lines.suspect or self._is_elsewhere(answer, quiet=not data):
                    return False
                if not data and self._is_enough(answer, began):
                    return True
        finally:
            if not answer.parked:
                answer.close()
        self._rest(answer)
        return True

    def _is_enough(self, answer: Answer, began: float) -> bool:
        """In silence: the caller is to look around, or the pod is over and what it said should all have come."""
        now = time.monotonic()
        if self.look() is not Phase.RUNNING:
            answer.over_at = answer.over_at or now
            return now - answer.over_at > LINGER_SECONDS
        if now - max(began, answer.heard_at) < self.silence_seconds and not self.stopping():
            return False
        self.parking.put(self._key, self.after, answer)
        return True

    def _is_elsewhere(self, answer: Answer, *, quiet: bool) -> bool:
        """Whether it has served what lay there, and the cursor's line was not in it."""
        lines = answer.lines
        if lines.found or not lines.seen or self.after is None:
            return False
        return quiet or lines.seen > (answer.window or self.after.size // LEAST_BYTES)

    def _rest(self, answer: Answer) -> None:
        """It ended, which says nothing: there is more soon, or the pod is over."""
        if self.look() is not Phase.RUNNING:
            return
        word = answer.lines.trouble if answer.broken else answer.lines.last_word()
        if word:
            raise self._unreadable(word)
        self.wait(TICK_SECONDS)

    def _unreadable(self, word: str) -> Exception:
        """What stands there without a stamp is the kubelet's word; of one stream it may be the pod's."""
        return UntoldError(mixed=True) if self.selects else Unreadable(word)

    def _heard(self, answer: Answer) -> bytes:
        seconds = TICK_SECONDS if answer.lines.found else QUIET_SECONDS
        try:
            return answer.read(min(seconds, self.silence_seconds))
        except OSError:
            answer.broken = answer.body.ended = True
            return b""

    @property
    def _key(self) -> tuple[str, ...]:
        return (*self.pod, self.stream) if self.selects else self.pod

    @property
    def _windows(self) -> tuple[int | None, ...]:
        is_short = self.after is None or self.after.size < SHORT_BYTES
        return (None,) if is_short or self.selects else (*WINDOWS, None)

    def _lines(self, window: int | None, *, live: bool = False) -> Lines:
        return Lines(self.stream, self.after, whole=window is None, live=live, alone=self.selects)

    def _follow(self, tries: int) -> Answer:
        window = self._windows[min(tries, len(self._windows) - 1)]
        return self._ask(self._lines(window, live=True), window, live=True)

    def _ask(self, lines: Lines, window: int | None, *, live: bool) -> Answer:
        query = {"container": JOB, "timestamps": "true"}
        if live:
            query["follow"] = "true"
        if window is not None:
            query["tailLines"] = str(window)
        if self.selects:
            query["stream"] = self.stream.capitalize()
        seconds = self.silence_seconds if live else READ_SECONDS
        opened = self.cluster.stream(path_of(self.pod), query=query, read_seconds=seconds)
        response = self._entered(opened, live=live)
        return Answer(opened, response, Body(response), lines, window)

    def _entered(self, opened: AbstractContextManager[Any], *, live: bool) -> Any:
        asked_at = time.monotonic()
        try:
            return opened.__enter__()
        except Exception as error:
            if self.selects and is_refusal(error):
                raise UntoldError from error
            meaning = meaning_of(error, live=live or self.look() is Phase.RUNNING)
            # Even the head of the answer comes with the first line only: of a pod that says nothing there is none.
            silent = live and time.monotonic() - asked_at > self.silence_seconds * 0.9
            if silent and meaning is error and isinstance(error, Unavailable):
                raise EndedError from None
            if meaning is error:
                raise
            raise meaning from error

    def _passed(self, batch: Batch) -> Batch:
        self.after = Cursor.parse(batch.cursor)
        return batch
