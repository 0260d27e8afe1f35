"""Answers that are silent, kept between two readings, so that a silent pod costs no request every few seconds."""

from __future__ import annotations

import threading
import time
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from typing import Any

from workers.drivers.kubernetes.body import Body
from workers.drivers.kubernetes.cursor import Cursor
from workers.drivers.kubernetes.lines import Lines

PARKED_SECONDS = 60.0  # whoever reads comes back sooner
STALE_SECONDS = 300.0  # of silence: something on the way may have dropped the connection without a word


@dataclass
class Answer:
    """One answer of the kubelet that is being read. `window`: how many lines of the file were asked for, None: all."""

    opened: AbstractContextManager[Any]
    response: Any
    body: Body
    lines: Lines
    window: int | None
    heard_at: float = field(default_factory=time.monotonic)
    over_at: float = 0.0  # the pod was first seen over
    parked: bool = False
    broken: bool = False  # what came last may be any part of a line

    def read(self, wait_seconds: float) -> bytes:
        data = self.body.read(wait_seconds)
        if data:
            self.heard_at = time.monotonic()
        return data

    def close(self) -> None:
        """Closed first: what is not over must not be read to its end."""
        with suppress(Exception):
            self.response.close()
        with suppress(Exception):
            self.opened.__exit__(None, None, None)


@dataclass(frozen=True)
class _Parked:
    after: Cursor | None
    answer: Answer
    since: float


class Parking:
    """At most one answer for each pod, or for each stream of it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._parked: dict[tuple[str, ...], _Parked] = {}

    def put(self, pod: tuple[str, ...], after: Cursor | None, answer: Answer) -> None:
        self.close(pod)
        answer.parked = True
        with self._lock:
            self._parked[pod] = _Parked(after, answer, time.monotonic())
            self._sweep()

    def take(self, pod: tuple[str, ...], after: Cursor | None) -> Answer | None:
        """The one that goes on behind this very cursor."""
        with self._lock:
            self._sweep()
            parked = self._parked.pop(pod, None)
        if parked is None:
            return None
        parked.answer.parked = False
        if time.monotonic() - parked.answer.heard_at < STALE_SECONDS and _same(parked.after, after):
            return parked.answer
        parked.answer.close()
        return None

    def close(self, pod: tuple[str, ...]) -> None:
        with self._lock:
            parked = self._parked.pop(pod, None)
        if parked is not None:
            parked.answer.close()

    def _sweep(self) -> None:
        old = time.monotonic() - PARKED_SECONDS
        for pod in [pod for pod, parked in self._parked.items() if parked.since < old]:
            self._parked.pop(pod).answer.close()


def _same(one: Cursor | None, other: Cursor | None) -> bool:
    return one.is_at(other) if one and other else one is other
