"""What was summed up of the past is kept in the database: a web process that begins goes on from there, not with the first job.

Any process may write at any time, an older sum over a newer one, too, or over another's part: sums lie beside the place that
they reach to, and what lies behind that, or is missing, is read anew.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from django.db import DatabaseError

from jobs.models import Installation

log = logging.getLogger(__name__)
FORM = 1  # of all that is kept: sums of another form are not read
EVERY = 5_000  # rows that were summed up since


class Kept:
    """Of this process, one part of it, by its name. `sums` tells what there is to keep; sums of another `shape` are not read."""

    def __init__(self, name: str, shape: Any, sums: Callable[[], dict[str, Any]]) -> None:
        self._name = name
        self._shape = shape
        self._sums = sums
        self._new = 0

    def read(self) -> dict[str, Any] | None:
        """Before anything is summed up here."""
        found: dict[str, Any] = _stored().get(self._name, {})
        return found if found.get("shape") == self._shape else None

    def grown(self, rows: int, *, behind: bool) -> None:
        """So many more are in the sums. `behind`: not all yet, which should not be lost if the process ends."""
        self._new += rows
        if self._new >= EVERY or (self._new and behind):
            self._write()

    def _write(self) -> None:
        try:
            part = {"shape": self._shape, **self._sums()}
            Installation.objects.update(sums={**_stored(), "form": FORM, self._name: part})
        except DatabaseError as error:  # one that can be read alone has figures, too
            log.warning("what was summed up is kept later: %s", error)
        else:
            self._new = 0


def _stored() -> dict[str, Any]:
    stored = Installation.objects.values_list("sums", flat=True).get() or {}
    return stored if stored.get("form") == FORM else {}
