"""The latest known of each pod, and who waits for news of it. In memory; knows no cluster."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from workers.drivers.kubernetes.observe import trimmed

REMEMBERED = 1000  # deleted pods
REMEMBERED_SECONDS = 600.0


@dataclass(frozen=True)
class Seen:
    """One pod as it was told of last. `version` counts up with every change that we heard of it, across all pods."""

    pod: Mapping[str, Any] | None
    gone: bool
    version: int


class Sightings:
    """Safe for many threads."""

    def __init__(self) -> None:
        self._known: dict[str, Seen] = {}
        self._gone: OrderedDict[str, tuple[float, Seen]] = OrderedDict()
        self._waiting: defaultdict[str, set[threading.Event]] = defaultdict(set)
        self._lock = threading.Lock()
        self._version = 0

    def of(self, uid: str) -> Seen | None:
        with self._lock:
            return self._of(uid)

    def present(self) -> set[str]:
        """Those that were there when they were last told of."""
        with self._lock:
            return set(self._known)

    def saw(self, pod: Mapping[str, Any]) -> None:
        uid = str(pod["metadata"]["uid"])
        with self._lock:
            known = self._of(uid)
            if known is not None and (known.gone or not _is_newer(pod, known.pod)):
                return
            self._known[uid] = Seen(trimmed(pod), gone=False, version=self._next())
            self._tell(uid)

    def lost(self, uid: str, pod: Mapping[str, Any] | None = None) -> None:
        """`pod`: as it was at its end, where that is told."""
        with self._lock:
            known = self._of(uid)
            if known is not None and known.gone:
                return
            last = trimmed(pod) if pod is not None else known.pod if known else None
            self._known.pop(uid, None)
            self._gone[uid] = (time.monotonic(), Seen(last, gone=True, version=self._next()))
            self._forget_old()
            self._tell(uid)

    def wait(self, uid: str, version: int, seconds: float) -> bool:
        """Whether there is something newer than `version`, waiting for it at most so long."""
        news = threading.Event()
        with self._lock:
            if self._is_behind(uid, version):
                return True
            self._waiting[uid].add(news)
        try:
            return news.wait(seconds)
        finally:
            with self._lock:
                self._waiting[uid].discard(news)
                if not self._waiting[uid]:
                    del self._waiting[uid]

    def _is_behind(self, uid: str, version: int) -> bool:
        known = self._of(uid)
        return known is not None and known.version > version

    def _of(self, uid: str) -> Seen | None:
        if uid in self._known:
            return self._known[uid]
        return self._gone[uid][1] if uid in self._gone else None

    def _next(self) -> int:
        self._version += 1
        return self._version

    def _tell(self, uid: str) -> None:
        for news in self._waiting.get(uid, ()):
            news.set()

    def _forget_old(self) -> None:
        until = time.monotonic() - REMEMBERED_SECONDS
        while self._gone and (len(self._gone) > REMEMBERED or next(iter(self._gone.values()))[0] < until):
            self._gone.popitem(last=False)


def _is_newer(pod: Mapping[str, Any], known: Mapping[str, Any] | None) -> bool:
    """Versions are numbers that go up wherever there is a Kubernetes; anything else is taken as it comes."""
    ours, theirs = (
        (known or {}).get("metadata", {}).get("resourceVersion", ""),
        pod["metadata"].get("resourceVersion", ""),
    )
    if str(ours).isdecimal() and str(theirs).isdecimal():
        return int(theirs) > int(ours)
    return bool(theirs != ours)
