"""docs/settings.md, from the fields of the environment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from towline.settings.environment import REPOSITORY, Environment

from .markdown import page, table

INTRODUCTION = (
    "Towline is set up by environment variables alone. All are read and checked once, when a process starts; what is "
    "wrong is reported by name, all of it at once, and the process does not start. An empty variable counts as unset. "
    "Every process of one installation gets the same ones, but for those that describe a run worker."
)

OTHERS = (
    "Two more are read by the programs that Towline builds on: `FLOWER_BASIC_AUTH` (`user:password`), without which "
    "`serve flower` does not start, and `DOCKER_HOST`, which the Docker SDK follows."
)


def settings_page() -> str:
    rows = [
        (f"`{name}`", _default(field.default), field.description or "")
        for name, field in Environment.model_fields.items()
    ]
    parts = (INTRODUCTION, table(("Name", "Default", "Meaning"), rows), OTHERS)
    return page("Settings", "platform/towline/settings/environment.py", *parts)


def _default(value: Any) -> str:
    if value is None or value in ("", {}):
        return "unset"
    if isinstance(value, Path):
        # Where the checkout lies differs from machine to machine.
        return f"`{value.relative_to(REPOSITORY)}/` in the checkout"
    return f"`{_as_typed(value)}`"


def _as_typed(value: Any) -> str:
    """As one would write it in the environment."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ",".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
