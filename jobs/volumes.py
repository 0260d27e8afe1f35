"""Folders of the host in a job's container: how they are written, and which of them the operator allows.

A source counts by its real path, symbolic links followed. The web process looks when a job is submitted, the worker again
right before the start, as a link may have been changed meanwhile and the two may be different hosts.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

RESERVED = ("/proc", "/sys", "/dev", "/towline")  # the last is where a script lies
SHORT = "write it as source:target, source:target:ro or source:target:rw, or as an object"


def check_path(text: str) -> str:
    """Absolute and in its plainest form: no `..`, no doubled or trailing slashes. ValueError with the remedy."""
    if "\0" in text:
        raise ValueError("a NUL character can't be in a path: remove it")
    if not text.startswith("/"):
        raise ValueError("must be an absolute path")
    if ".." in text.split("/"):
        raise ValueError("must not go up by '..': write the path itself")
    return "/" + posixpath.normpath(text).lstrip("/")


def _target(text: str) -> str:
    if text == "/" or any(_is_below(text, top) for top in RESERVED):
        raise ValueError(f"must not be /, nor lie in {', '.join(RESERVED)}: choose another folder")
    return text


AbsolutePath = Annotated[str, Field(max_length=4096), AfterValidator(check_path)]


class Volume(BaseModel):
    """A folder or file of the host (`source`), to be seen in the container at `target`."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    source: AbsolutePath
    target: Annotated[AbsolutePath, AfterValidator(_target)]
    read_only: bool = True


def _from_short_form(value: Any) -> Any:
    if isinstance(value, dict | Volume):
        return value
    parts = value.split(":") if isinstance(value, str) else []
    if len(parts) not in (2, 3) or parts[2:] not in ([], ["ro"], ["rw"]):
        raise ValueError(SHORT)
    return {"source": parts[0], "target": parts[1], "read_only": parts[2:] != ["rw"]}


def _targets_differ(volumes: list[Volume]) -> list[Volume]:
    targets = [volume.target for volume in volumes]
    if twice := [target for target in dict.fromkeys(targets) if targets.count(target) > 1]:
        raise ValueError(f"{twice[0]} is the target of two: give each its own")
    return volumes


AnyForm = Annotated[Volume, BeforeValidator(_from_short_form, json_schema_input_type=Volume | str)]
Volumes = Annotated[list[AnyForm], Field(max_length=100), AfterValidator(_targets_differ)]


class Allowed(NamedTuple):
    """A folder of the host that jobs may have, with all below it."""

    path: str
    read_only: bool

    @classmethod
    def parse(cls, text: str) -> Self:
        """`/srv/data` or `/srv/data:ro`. ValueError for what can't be meant."""
        path = check_path(text.removesuffix(":ro"))
        if path == "/":
            raise ValueError("the whole host is not for jobs: name folders")
        return cls(path, text.endswith(":ro"))


def objection(volume: Volume, allowed: Iterable[Allowed]) -> str | None:
    """Why jobs may not have it; None: they may. A source that does not exist (here) counts by its name."""
    over = [one for one in allowed if _is_below(real(volume.source), real(one.path))]
    if not over:
        return f"{volume.source} is in no folder that jobs may have: an operator may allow more (TOWLINE_VOLUMES)"
    if not volume.read_only and all(one.read_only for one in over):
        return f"{volume.source} may only be read: leave read_only true"
    return None


def objections(volumes: Sequence[Volume], allowed: Iterable[Allowed]) -> dict[str, list[str]]:
    """By dotted field of the spec."""
    told = {f"volumes.{n}.source": objection(volume, allowed) for n, volume in enumerate(volumes)}
    return {field: [text] for field, text in told.items() if text}


def real(path: str) -> str:
    return str(Path(path).resolve())


def _is_below(path: str, top: str) -> bool:
    return path == top or path.startswith(f"{top.rstrip('/')}/")
