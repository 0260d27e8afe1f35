"""A pod's output from a cursor: whether its streams are read one by one or as one, and from where.

What is begun in one way goes on in it: a cursor says in which. Only where a cluster tells streams apart no longer, is what was
read one by one gone on with as one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol
from weakref import WeakKeyDictionary

from workers.drivers.kubernetes.answers import UntoldError
from workers.drivers.kubernetes.cursor import BETWEEN, Cursor, Places
from workers.drivers.kubernetes.offer import Offer
from workers.drivers.kubernetes.parking import Parking
from workers.drivers.kubernetes.reader import LogReader, Streaming
from workers.drivers.kubernetes.rejoining import RejoiningReader
from workers.drivers.kubernetes.split import SplitReader
from workers.drivers.output import Batch, Output, Stream
from workers.drivers.protocol import Phase


@dataclass
class _Known:
    """Of one cluster, for as long as this process lives."""

    parking: Parking = field(default_factory=Parking)
    offer: Offer = field(default_factory=Offer)


_known: WeakKeyDictionary[Streaming, _Known] = WeakKeyDictionary()


class _Reading(Protocol):
    def live(self) -> Iterator[Output]: ...
    def read_out(self, patience_seconds: float) -> Iterator[Output]: ...


def follow(
    cluster: Streaming,
    namespace: str,
    pod: str,
    after: str | None,
    look: Callable[[], Phase],
    wait: Callable[[float], None],
    silence_seconds: float = 10,
    *,
    terminal: bool = False,
    patience_seconds: float = 10,
) -> Iterator[Output]:
    """The output behind a cursor: of a pod that runs, live; of one that is over, to its end.

    `look` gives the phase that is known, `wait` returns when the pod changes or after so long; both cost nothing.
    `terminal`: the container has one, so all it says is stdout. `patience_seconds`: for how long the kubelet may say of a
    pod that is over that it can't read its log; it says so too while the runtime or it itself is being started again.
    """
    phase = look()
    if phase in (Phase.CREATED, Phase.PENDING):
        wait(silence_seconds)
        return
    log = _Log(cluster, (namespace, pod), look, wait, silence_seconds, terminal)
    try:
        for output in _outputs(log.reading(after), phase, patience_seconds):
            yield output
            after = output.cursor if isinstance(output, Batch) else after
    except UntoldError as error:
        if not error.mixed:
            log.known.offer.withdraw()
        yield from _outputs(log.as_one(after), phase, patience_seconds)


def _outputs(reading: _Reading, phase: Phase, patience_seconds: float) -> Iterator[Output]:
    return reading.live() if phase is Phase.RUNNING else reading.read_out(patience_seconds)


@dataclass
class _Log:
    """One pod's, and the ways to read it."""

    cluster: Streaming
    pod: tuple[str, str]
    look: Callable[[], Phase]
    wait: Callable[[float], None]
    silence_seconds: float
    terminal: bool

    @property
    def known(self) -> _Known:
        return _known.setdefault(self.cluster, _Known())

    def reading(self, after: str | None) -> _Reading:
        is_split = bool(after and BETWEEN in after)
        if (after and not is_split) or self.terminal or not self._is_offered(otherwise=is_split):
            return self.as_one(after)
        return self._split(Places.parse(after) if after else Places())

    def as_one(self, after: str | None) -> _Reading:
        if after and BETWEEN in after:
            return RejoiningReader(self._all, Places.parse(after))
        return self._all(Cursor.parse(after) if after else None)

    def _is_offered(self, *, otherwise: bool) -> bool:
        return self.known.offer.is_made(self.cluster, self.pod, otherwise=otherwise)

    def _split(self, places: Places) -> SplitReader:
        return SplitReader(self._one, places, self.silence_seconds)

    def _all(self, after: Cursor | None) -> LogReader:
        return self._reader(after, "stdout" if self.terminal else "unknown", selects=False)

    def _one(self, stream: Stream, places: Places) -> LogReader:
        return self._reader(places.of(stream), stream, selects=True)

    def _reader(self, after: Cursor | None, stream: Stream, *, selects: bool) -> LogReader:
        parking = self.known.parking
        return LogReader(
            self.cluster, self.pod, after, stream, self.look, self.wait, self.silence_seconds, parking, selects
        )
