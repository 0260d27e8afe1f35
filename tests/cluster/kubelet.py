"""The kubelet: one worker for each pod of its node. It can stop and come back; the containers go on meanwhile."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from dataclasses import dataclass
from pathlib import Path

from .containers import Container, Runtime
from .faults import Signal
from .replay import Replayer, is_replayed
from .store import Change, Store
from .worker import Ending, PodWorker

log = logging.getLogger("tests.cluster.kubelet")
MEASURED_SECONDS = 1.0


@dataclass(frozen=True)
class Settings:
    start_seconds: float = 0.05  # from being scheduled to the container's start
    teardown_seconds: float = 0.05  # from the end of the container to that of the pod
    backoff_seconds: float = 2.0
    retry_seconds: float = 0.5
    pull_seconds: float = 3.0
    images: tuple[str, ...] = ()


class Kubelet:
    def __init__(
        self, name: str, store: Store, runtime: Runtime, replayer: Replayer, up: asyncio.Event, settings: Settings
    ) -> None:
        self.name, self.store, self.runtime, self.replayer = name, store, runtime, replayer
        self.up, self.settings = up, settings
        self.pulled: set[str] = set()
        self.kubelet_runs = False
        self.workers: dict[str, PodWorker] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.changed = Signal()
        self.sizes: dict[tuple[str, str], tuple[float, int]] = {}

    def start(self) -> None:
        """Also again: what the runtime has is found there. One that runs goes on."""
        if self.kubelet_runs:
            return
        self.kubelet_runs = True
        self.store.listeners.append(self._hear)
        for pod in self.store.list("pods"):
            if pod["spec"].get("nodeName") == self.name:
                self._care_for(pod)
        for uid in {uid for uid, _ in self.runtime.containers} - set(self.workers):
            self._bury(uid)
        self.changed.ring()

    async def stop(self) -> None:
        if not self.kubelet_runs:
            return
        self.kubelet_runs = False
        self.store.listeners.remove(self._hear)
        tasks, self.tasks, self.workers = list(self.tasks.values()), {}, {}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.changed.ring()

    def _hear(self, change: Change) -> None:
        if change.resource != "pods" or change.now["spec"].get("nodeName") != self.name:
            return
        uid = change.now["metadata"]["uid"]
        worker = self.workers.get(uid)
        if worker:
            worker.hear(None if change.verb == "DELETED" else change.now)
        elif change.verb != "DELETED":
            self._care_for(change.now)

    def _care_for(self, pod: dict[str, object]) -> None:
        if is_replayed(pod):
            return
        worker = PodWorker(self, pod)
        task = asyncio.get_running_loop().create_task(worker.run(), name=f"pod {worker.voice.name}")
        self.workers[worker.voice.uid], self.tasks[worker.voice.uid] = worker, task
        task.add_done_callback(lambda done: self._leave(worker, done))

    def _leave(self, worker: PodWorker, task: asyncio.Task[None]) -> None:
        if self.workers.get(worker.voice.uid) is worker:
            del self.workers[worker.voice.uid], self.tasks[worker.voice.uid]
        if not task.cancelled() and task.exception():
            log.error("pod %s", worker.voice.name, exc_info=task.exception())

    def _bury(self, uid: str) -> None:
        """Containers of a pod that went away while the kubelet did."""
        for key, container in list(self.runtime.containers.items()):
            if key[0] == uid:
                container.signal(9)
        self.runtime.forget(uid)

    def evict(self, namespace: str, name: str, message: str) -> None:
        for worker in self.workers.values():
            if (worker.voice.namespace, worker.voice.name) == (namespace, name):
                worker.eviction = Ending("evicted", 2.0, "Evicted", message)
                worker.news.set()

    def container(self, uid: str, name: str) -> Container | None:
        return self.runtime.containers.get((uid, name))

    def replayed(self, uid: str) -> str | None:
        return self.replayer.logs.get(uid)

    def used(self, uid: str, part: str = "") -> int:
        """Bytes on disk, measured every now and then."""
        at, size = self.sizes.get((uid, part), (0.0, 0))
        if time.monotonic() - at > MEASURED_SECONDS:
            size = _measure(self.runtime.pod_folder(uid) / part)
            self.sizes[uid, part] = (time.monotonic(), size)
        return size


def _measure(folder: Path) -> int:
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(f"{place}/{name}").st_blocks * 512
            except OSError:
                continue
    return total
