"""What a drill is, and what an operator may say about how to do it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from .promise import Bounds, Promise
    from .scene import Scene


class Refused(Exception):
    """The drill can't be run here, or not so; nothing is proven. The message says what to do instead."""


class CutShort(Exception):
    """A promise is broken that all others hang on."""


@dataclass(frozen=True)
class Ways:
    """How the operator wants it done. Commands are split as a shell splits words, and run without one."""

    worker: str | None = None
    runtime: str | None = None
    image: str | None = None
    command: str | None = None
    stop: str | None = None
    start: str | None = None
    folder: Path | None = None
    limit: float = 60.0


class Drill(ABC):
    """One fault. An object serves one run and may keep in itself what it found out on the way.

    `disturbs` says what others notice; empty: nothing. `takes` names the options of `Ways` that mean something to it
    beyond those that all take.
    """

    name: ClassVar[str]
    about: ClassVar[str]
    disturbs: str = ""
    takes: ClassVar[frozenset[str]] = frozenset()

    @abstractmethod
    def look(self, scene: Scene) -> None:
        """Find what it needs, change nothing. Raises Refused."""

    @abstractmethod
    def promises(self, bounds: Bounds) -> Iterable[Promise]:
        """What must hold, in the order in which it is looked at. Asked for after `look`."""

    @abstractmethod
    def run(self, scene: Scene) -> None:
        """The fault, and a judgement of every promise. Raises CutShort, and Refused for a fault that could not be done."""
