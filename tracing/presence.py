"""A writing process's own row: that it lives, and what it wrote. By it, others know what it left open; see `tracing.reaper`."""

from __future__ import annotations

import time
from uuid import UUID

from django.db.models.functions import Now

from .models import Writer

BEAT_SECONDS = 5.0


class Presence:
    """There is no row before the first beat."""

    def __init__(self, ident: UUID, process: str) -> None:
        self.id = ident
        self.process = process
        self._next = float("-inf")

    def due(self) -> bool:
        return time.monotonic() >= self._next

    def beat(self, written: int, dropped: int, *, stopped: bool = False) -> None:
        """One that was taken for dead is alive again with this."""
        said = {"seen_at": Now(), "stopped_at": Now() if stopped else None, "written": written, "dropped": dropped}
        if not Writer.objects.filter(pk=self.id).update(**said):
            Writer.objects.create(id=self.id, process=self.process[:100], **said)
        self._next = time.monotonic() + BEAT_SECONDS
