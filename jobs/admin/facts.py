"""A spec as people read it: what was asked for, sorted, with what is not the default first in sight. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from jobs.spec import JobSpec

from .shown import pretty, shortened

LONGEST_VALUE = 2_000
LONGEST_OF_PAIR = 200
MOST_PAIRS = 100
_DEFAULTS: dict[str, Any] = JobSpec(image="x:1").model_dump(mode="json")
_OWN_PLACE = ("name", "project", "image", "command", "entrypoint", "script", "env", "resources", "timeouts", "retry")


@dataclass(frozen=True)
class Fact:
    """A label and its text; `code` text keeps its spaces and lines. `pairs` instead of text for a table."""

    label: str
    text: str = ""
    code: bool = False
    pairs: tuple[tuple[str, str], ...] = ()
    more: int = 0  # pairs left out


def facts(spec: dict[str, Any]) -> list[Fact]:
    return list(_facts(spec))


def _facts(spec: dict[str, Any]) -> Iterator[Fact]:
    yield Fact("image", spec.get("image", ""), code=True)
    for field in ("entrypoint", "command"):
        if spec.get(field):
            yield Fact(field, shortened(shlex.join(map(str, spec[field])), LONGEST_VALUE), code=True)
    if spec.get("script"):
        yield Fact("script", shortened(spec["script"]), code=True)
    if spec.get("env"):
        yield _table("environment", spec["env"])
    yield _table("resources", spec.get("resources") or {})
    yield _table("time-outs", {key: _seconds(value) for key, value in (spec.get("timeouts") or {}).items()})
    yield from _unusual(spec)


def _unusual(spec: dict[str, Any]) -> Iterator[Fact]:
    if spec.get("retry") != _DEFAULTS["retry"]:
        yield _table("retry", spec.get("retry") or {})
    for field, value in spec.items():
        if field not in _OWN_PLACE and value != _DEFAULTS.get(field):
            yield _table(field, value) if isinstance(value, dict) else Fact(field, _plain(value), code=True)


def _table(label: str, values: dict[str, Any]) -> Fact:
    shown = tuple(
        (shortened(key, 200), _plain(value, LONGEST_OF_PAIR)) for key, value in list(values.items())[:MOST_PAIRS]
    )
    return Fact(label, pairs=shown, more=max(0, len(values) - MOST_PAIRS))


def _plain(value: Any, most: int = LONGEST_VALUE) -> str:
    if value is None:
        return "none"
    return shortened(value if isinstance(value, str) else pretty(value), most)


def _seconds(value: Any) -> str | None:
    return None if value is None else f"{value:g} s"
