"""What a runtime would be asked for a job: `jobs` asks, whoever knows the runtimes answers. Pure, nothing is stored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .spec import JobSpec

Documents = list[dict[str, Any]]
Preview = Callable[[JobSpec], Documents]


class NoPreview(Exception):
    """It can't be told; the message says why, and what to do."""


def _of_nobody(spec: JobSpec) -> Documents:
    raise NoPreview("this installation runs no jobs")


_preview: Preview = _of_nobody


def install(preview: Preview) -> None:
    global _preview
    _preview = preview


def preview(spec: JobSpec) -> Documents:
    """The documents that a runtime would get, secrets masked. Raises NoPreview."""
    return _preview(spec)
