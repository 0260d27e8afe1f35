"""What the cluster tells of all our pods of one namespace, by one watch for all who ask.

List, then watch from there; when the watch ends in order, on from where it ended; on anything else (expired, dropped,
silent, an answer that is no event) list again, after a while that grows. Told twice or out of order does no harm: of two
states of a pod the newer counts. One that was deleted is remembered for some minutes, as evidence.

The official client has an informer of its own (`kubernetes.informer`). It is not used: it sets no time-outs, so a
connection that died silently leaves it deaf for ever; it does not say when it last heard anything; it forgets what was
deleted; and it keeps whole models of pods, ten times the size of what we need.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any
from weakref import ref

import orjson

from workers.drivers.kubernetes.connection import ApiError, Cluster
from workers.drivers.kubernetes.sightings import Seen, Sightings
from workers.drivers.protocol import LABEL_INSTALLATION, Unavailable

log = logging.getLogger(__name__)

LASTS_SECONDS = 15  # one watch; the API server ends it then
SILENCE_SECONDS = 5.0  # beyond that: the connection is dead
FRESH_SECONDS = 25.0  # after how long without a word what is known counts for nothing
BACKOFF_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
IDLE_SECONDS = 600.0
CHUNK = 2**16


class Relist(Exception):
    """The watch can't go on from where it was."""


class Watch:
    """Starts with the first question, in a thread of its own that ends when nobody asks any more. Safe for many threads."""

    def __init__(
        self,
        cluster: Cluster,
        namespace: str,
        *,
        lasts_seconds: int = LASTS_SECONDS,
        silence_seconds: float = SILENCE_SECONDS,
    ) -> None:
        self._cluster = cluster
        self._path = f"/api/v1/namespaces/{namespace}/pods"
        self._name = f"watch-{namespace}"
        self._lasts, self._silence = lasts_seconds, silence_seconds
        self._sightings = Sightings()
        self._version: str | None = None
        self._heard_at: float | None = None
        self._asked_at = 0.0
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def seen(self, uid: str) -> Seen | None:
        """The latest of this pod; None when it was never told of, or while what is known may be stale."""
        self._start()
        return self._sightings.of(uid) if self.is_healthy() else None

    def last_of(self, uid: str) -> Seen | None:
        """The latest of this pod, however old: evidence."""
        return self._sightings.of(uid)

    def is_healthy(self) -> bool:
        heard = self._heard_at
        return heard is not None and time.monotonic() - heard < FRESH_SECONDS

    def learn(self, pod: Mapping[str, Any]) -> None:
        """From an answer that was got elsewhere, so that nobody here looks behind what was done already."""
        if self._is_running():  # else nobody asks, and nobody would ever forget it
            self._sightings.saw(pod)

    def lost(self, uid: str) -> None:
        """It is certain that this pod is gone."""
        if self._is_running():
            self._sightings.lost(uid)

    def wait(self, uid: str, version: int, seconds: float) -> bool:
        """Until there is something newer of this pod than `version` (of a `Seen`; 0: anything), at most so long."""
        self._start()
        return self._sightings.wait(uid, version, seconds)

    def _start(self) -> None:
        self._asked_at = time.monotonic()
        if not self._is_running():
            with self._lock:
                if not self._is_running():
                    self._heard_at = self._version = None
                    self._thread = threading.Thread(target=_run, args=(ref(self),), name=self._name, daemon=True)
                    self._thread.start()

    def _is_running(self) -> bool:
        return self._thread is not None and self._thread.is_alive()  # in a process forked off, it is not

    def _is_wanted(self) -> bool:
        return time.monotonic() - self._asked_at < IDLE_SECONDS

    def _step(self) -> bool:
        """List, or watch until that ends. Whether it went well."""
        try:
            self._version = self._list() if self._version is None else self._watch_from(self._version)
        except (Unavailable, ApiError, Relist) as trouble:
            log.info("%s: %s", self._name, str(trouble))  # not itself: its traceback would hold us
        except Exception:
            log.exception("%s: its answer was not understood", self._name)
        else:
            return True
        self._version = None
        return False

    def _list(self) -> str:
        """From the list on, what is known is complete: who is not in it is gone."""
        before = self._sightings.present()
        asked_at = time.monotonic()
        answer = self._cluster.request("GET", self._path, query={"labelSelector": LABEL_INSTALLATION})
        for pod in answer.get("items") or ():
            self._sightings.saw(pod)
        for uid in before - {pod["metadata"]["uid"] for pod in answer.get("items") or ()}:
            self._sightings.lost(uid)
        self._heard_at = asked_at
        return str(answer["metadata"]["resourceVersion"])

    def _watch_from(self, version: str) -> str:
        """To its end, which says nothing. The version to go on from."""
        asked = {
            "watch": "1",
            "labelSelector": LABEL_INSTALLATION,
            "resourceVersion": version,
            "timeoutSeconds": self._lasts,
            "allowWatchBookmarks": "true",
        }
        with self._cluster.stream(self._path, query=asked, read_seconds=self._lasts + self._silence) as answer:
            self._heard_at = time.monotonic()
            for line in lines_of(answer.stream(CHUNK)):
                self._heard_at = time.monotonic()
                version = self._hear(orjson.loads(line)) or version
        return version

    def _hear(self, event: Mapping[str, Any]) -> str | None:
        """The version that is behind it."""
        kind, thing = event["type"], event["object"]
        if kind == "ERROR":
            raise Relist(f"{thing.get('code')} {thing.get('message')}")
        if kind == "DELETED":
            self._sightings.lost(thing["metadata"]["uid"], thing)
        elif kind != "BOOKMARK":
            self._sightings.saw(thing)
        version: str | None = thing["metadata"].get("resourceVersion")
        return version


def _run(watch_of: ref[Watch]) -> None:
    """For as long as somebody has the watch, and asks it now and then."""
    failures = 0
    while (watch := watch_of()) is not None and watch._is_wanted():
        failures = 0 if watch._step() else failures + 1
        del watch
        if failures:
            pause = BACKOFF_SECONDS[min(failures, len(BACKOFF_SECONDS)) - 1]
            time.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - spreads what workers ask


def lines_of(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Whole lines, as soon as they are there; half a line at the end was cut off, and is nothing."""
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        yield from filter(None, whole)
