"""What a pod uses, from the metrics server where there is one.

It tells how fast a pod has used cpu lately and what memory it has now. Cpu time and the peak are what comes of that from one
look to the next: estimates, and of this process; whoever looks for the first time takes the present speed for the whole past.

It is asked for all pods of a namespace at once, and no more often than it has something new to say: a hundred pods that are
watched cost it one request every few seconds, and a cluster without it one a minute.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from workers.drivers.kubernetes.connection import ApiError, Cluster
from workers.drivers.kubernetes.quantity import amount
from workers.drivers.protocol import LABEL_INSTALLATION, Unavailable, Usage

REMEMBERED = 1000
OLD_SECONDS = 5.0  # it measures every 15 s, usually
MISSED_SECONDS = 1.0  # the same, for a pod that it said nothing of
DUMB_SECONDS = 60.0  # there is none, or we may not ask it: that seldom changes
ASK_SECONDS = 5.0


@dataclass(frozen=True)
class Sample:
    at: datetime
    cpus: float
    memory_bytes: int


@dataclass(frozen=True)
class Told:
    """`samples` by the pod's name; None when nobody told anything."""

    samples: Mapping[str, Sample] | None
    at: float = field(default_factory=time.monotonic)

    def is_old(self, name: str) -> bool:
        if self.samples is None:
            return time.monotonic() - self.at > DUMB_SECONDS
        return time.monotonic() - self.at > (OLD_SECONDS if name in self.samples else MISSED_SECONDS)


class Metrics:
    """Samples of pods. Safe for many threads: one of them asks, and the others take what is known meanwhile."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._told: dict[str, Told] = {}
        self._lock = threading.Lock()

    def of(self, namespace: str, name: str) -> Sample | None:
        told = self._told.get(namespace)
        if (told is None or told.is_old(name)) and self._lock.acquire(blocking=False):
            try:
                told = self._told[namespace] = Told(self._ask(namespace))
            finally:
                self._lock.release()
        return (told.samples or {}).get(name) if told else None

    def _ask(self, namespace: str) -> Mapping[str, Sample] | None:
        path = f"/apis/metrics.k8s.io/v1beta1/namespaces/{namespace}/pods"
        query = {"labelSelector": LABEL_INSTALLATION}
        try:
            answer = self._cluster.request("GET", path, query=query, read_seconds=ASK_SECONDS)
        except (ApiError, Unavailable):
            return None
        return {each["metadata"]["name"]: sample_of(each) for each in answer.get("items") or ()}


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
