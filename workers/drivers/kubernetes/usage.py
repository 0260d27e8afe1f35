"""What a pod uses, from the metrics server where there is one.

It tells how fast a pod has used cpu lately and what memory it has now. Cpu time and the peak are what comes of that from one
look to the next: estimates, and of this process; whoever looks for the first time takes the present speed for the whole past.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from workers.drivers.kubernetes.quantity import amount
from workers.drivers.protocol import Usage

REMEMBERED = 1000


@dataclass(frozen=True)
class Sample:
    at: datetime
    cpus: float
    memory_bytes: int


class Meter:
    """Adds samples up, by pod."""

    def __init__(self) -> None:
        self._last: OrderedDict[str, tuple[datetime, Usage]] = OrderedDict()

    def read(self, uid: str, sample: Sample, started_at: datetime) -> Usage:
        since, before = self._last.get(uid, (started_at, Usage(0.0, 0, 0)))
        passed = max(0.0, (sample.at - since).total_seconds())
        usage = Usage(
            cpu_seconds=before.cpu_seconds + sample.cpus * passed,
            memory_bytes=sample.memory_bytes,
            memory_peak_bytes=max(before.memory_peak_bytes, sample.memory_bytes),
        )
        self._last[uid] = (max(since, sample.at), usage)
        while len(self._last) > REMEMBERED:
            self._last.popitem(last=False)
        return usage


def sample_of(answer: Mapping[str, Any]) -> Sample:
    """From `PodMetrics`."""
    used = [each["usage"] for each in answer.get("containers") or ()]
    return Sample(
        at=datetime.fromisoformat(str(answer["timestamp"]).replace("Z", "+00:00")),
        cpus=sum(amount(each.get("cpu", "0")) for each in used),
        memory_bytes=int(sum(amount(each.get("memory", "0")) for each in used)),
    )
