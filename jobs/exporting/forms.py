"""The forms that an export may have, by the name that users give."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from django.db.models import QuerySet

from jobs.models import Job

from .archive import archive
from .chosen import Tell
from .rows import rows


@dataclass(frozen=True)
class Form:
    pieces: Callable[[QuerySet[Job], Tell], Iterator[bytes]]
    media_type: str


FORMS: Mapping[str, Form] = {
    "tar.zst": Form(archive, "application/zstd"),
    "ndjson": Form(rows, "application/x-ndjson"),
}
DEFAULT = "tar.zst"
