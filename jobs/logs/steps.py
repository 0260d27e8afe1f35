"""What followers are told, step by step. One object for all who follow; so is what of it goes over the wire."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .gaps import Gap
from .records import StoredLine

Form = Callable[[Any], bytes]


@dataclass(eq=False)
class Told:
    _made: dict[Form, bytes] = field(default_factory=dict, init=False, repr=False)

    def made(self, form: Form) -> bytes:
        """What `form` makes of it: made once, however many ask."""
        if form not in self._made:
            self._made[form] = form(self)
        return self._made[form]


@dataclass(eq=False)
class Lines(Told):
    """The next stored lines, at least one. Nothing is missing between two of them."""

    attempt: int
    lines: list[StoredLine]
    _of: dict[str, Lines | None] = field(default_factory=dict, init=False, repr=False)

    @property
    def first(self) -> int:
        return self.lines[0].n

    @property
    def last(self) -> int:
        return self.lines[-1].n

    def only(self, stream: str | None) -> Lines | None:
        """Those of one stream; None when there are none."""
        if stream is None:
            return self
        if stream not in self._of:
            lines = [line for line in self.lines if line.stream == stream]
            self._of[stream] = Lines(self.attempt, lines) if lines else None
        return self._of[stream]

    def starting_at(self, n: int) -> Lines:
        return self if n <= self.first else Lines(self.attempt, [line for line in self.lines if line.n >= n])


@dataclass(eq=False)
class Missing(Told):
    """Output is missing right before line `gap.line`, which comes next, or at the end."""

    attempt: int
    gap: Gap


@dataclass(eq=False)
class News(Told):
    """The job's or the attempt's state is another than at the last look. `data` is for show."""

    data: dict[str, Any]


@dataclass(eq=False)
class Silence(Told):
    """Nothing came for a while: tell the reader that we are still here."""


@dataclass(eq=False)
class Over(Told):
    """The job is final and its log was read to the end."""

    data: dict[str, Any]


Step = Lines | Missing | News | Silence | Over
