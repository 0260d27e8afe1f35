"""What differs between two runs of what should be the same job: the specs as submitted, and what they really ran on. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

SHOWN_CHARACTERS = 300
# Names are told, values are not: they may be secrets.
HIDDEN = ("env.", "stdin")
# Different for every job, and no reason for anything.
PASSING = ("run_at", "after")


@dataclass(frozen=True)
class Change:
    """`before` and `after` are null where the field was not there, and for values that may be secrets."""

    field: str
    before: Any
    after: Any

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """By field, dotted: `resources.memory`, `labels.team`, `env.PATH`."""
    old, new = dict(_flat(before)), dict(_flat(after))
    fields = sorted({*old, *new})
    return [
        Change(name, _shown(name, old.get(name)), _shown(name, new.get(name)))
        for name in fields
        if old.get(name) != new.get(name) and not name.startswith(PASSING)
    ]


def _flat(spec: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in spec.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def _shown(name: str, value: Any) -> Any:
    if value is None or name.startswith(HIDDEN):
        return None
    if isinstance(value, str) and len(value) > SHOWN_CHARACTERS:
        return value[:SHOWN_CHARACTERS] + "…"
    return value
