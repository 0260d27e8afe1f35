"""The steps of a run in its trace: what an attempt takes time for, one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Any, Self

from tracing.services import ENGINE
from tracing.spans import Doing, Value, span

from .drivers.protocol import HeldUp, Refused
from .grip import Ended, Left

LEAVES = (Left, Ended, HeldUp)  # with these a step is left, and nothing has gone wrong in it


@contextmanager
def step(operation: str, service: str = ENGINE, **attributes: Value | None) -> Iterator[Doing]:
    known: dict[str, Any] = dict(attributes)
    with span(operation, service, leaves=LEAVES, **known) as doing:
        try:
            yield doing
        except Refused as refused:
            doing.fail(refused.verdict.code, refused.verdict.summary)
            raise


class Steps:
    """Where one step ends is known only when the next begins. As a context: the last one ends with it."""

    def __init__(self) -> None:
        self._now = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._now.__exit__(kind, error, trace)

    def begin(self, operation: str, service: str = ENGINE, **attributes: Value | None) -> Doing:
        self.end()
        return self._now.enter_context(step(operation, service, **attributes))

    def end(self) -> None:
        self._now.close()
