"""A finding, and how a check that goes wrong becomes one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Level(StrEnum):
    OK = "ok"
    WARNING = "warning"  # it works, and may bite one day
    FAILED = "failed"


@dataclass(frozen=True)
class Finding:
    """`remedy` is what to do about it; empty where all is well."""

    name: str
    level: Level
    detail: str
    remedy: str = ""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Check:
    """`look` answers with what it saw, several findings where it looks at several things.

    It may raise anything: that is the finding then.
    """

    name: str
    look: Callable[[], Finding | Sequence[Finding]]
    remedy: str = ""


def fine(name: str, detail: str) -> Finding:
    return Finding(name, Level.OK, detail)


def warn(name: str, detail: str, remedy: str) -> Finding:
    return Finding(name, Level.WARNING, detail, remedy)


def failed(name: str, detail: str, remedy: str) -> Finding:
    return Finding(name, Level.FAILED, detail, remedy)


def examine(checks: Iterable[Check]) -> list[Finding]:
    return [finding for check in checks for finding in _examine(check)]


def _examine(check: Check) -> Sequence[Finding]:
    try:
        found = check.look()
        return [found] if isinstance(found, Finding) else found
    except Exception as error:  # noqa: BLE001 - whatever is wrong with a part is what is reported
        words = str(error).strip().splitlines() or [""]
        return [failed(check.name, f"{type(error).__name__}: {words[0][:300]}", check.remedy)]
