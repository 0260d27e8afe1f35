"""Adding up what the engine tells about the layers of a pull. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workers.drivers.protocol import PullProgress

HAVE = {"Download complete", "Pull complete", "Verifying Checksum", "Already exists"}


class PullTally:
    """Bytes downloaded over all layers; unpacking does not count again."""

    def __init__(self) -> None:
        self._done: dict[str, int] = {}
        self._total: dict[str, int] = {}

    def add(self, event: Mapping[str, Any]) -> PullProgress:
        layer, status = str(event.get("id", "")), str(event.get("status", ""))
        detail = event.get("progressDetail") or {}
        if detail.get("total"):
            self._total[layer] = int(detail["total"])
        if status == "Downloading":
            self._done[layer] = int(detail.get("current") or 0)
        elif status in HAVE or status == "Extracting":
            self._done[layer] = self._total.get(layer, 0)
        return PullProgress(sum(self._done.values()), sum(self._total.values()), status)
