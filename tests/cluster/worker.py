"""The kubelet's care for one pod, to its end; its beginning is in `rising`. Remembers nothing that the runtime does not know."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

from . import podstatus, stamps
from .containers import Container
from .quantities import amount, over
from .rising import Rising
from .store import Object
from .voice import Voice

if TYPE_CHECKING:
    from .kubelet import Kubelet

LOOK_SECONDS = 1.0
LEAST_GRACE = 2.0  # of one that is evicted


class Ending:
    def __init__(self, kind: str, grace: float, reason: str = "", message: str = "") -> None:
        self.kind, self.grace, self.reason, self.message = kind, grace, reason, message


class PodWorker:
    def __init__(self, kubelet: Kubelet, pod: Object) -> None:
        self.kubelet, self.runtime = kubelet, kubelet.runtime
        self.voice = Voice(kubelet, pod)
        self.rising = Rising(self.voice)
        self.news = asyncio.Event()
        self.eviction: Ending | None = None

    @property
    def pod(self) -> Object:
        return self.voice.pod

    def hear(self, pod: Object | None) -> None:
        """Another version of the pod; None when it is gone."""
        if pod is None:
            self.voice.pod = {**self.pod, "metadata": {**self.pod["metadata"], "gone": True}}
        else:
            self.voice.pod = pod
        self.news.set()

    async def run(self) -> None:
        rising: asyncio.Task[None] | None = None
        try:
            if self.voice.container is None and not over(self.pod):
                rising = asyncio.create_task(self.rising.run())
            elif self.voice.container and not over(self.pod):
                await self._adopt(self.voice.container)
            ending = await self._watch_over(rising)
            await self._wind_up(ending, rising)
        finally:
            if rising:
                rising.cancel()

    async def _adopt(self, container: Container) -> None:
        """One that went on while there was no kubelet."""
        self.voice.sandbox = True
        if not container.over:
            await self.voice.report(podstatus.running(container.started_at), phase="Running")

    async def _watch_over(self, rising: asyncio.Task[None] | None) -> Ending | None:
        """Until there is a reason to end it, or it has ended by itself (None)."""
        if over(self.pod):
            return None
        while True:
            container = self.voice.container
            if rising and rising.done():
                rising.result()
                rising = None
            if container and container.over and rising is None:
                return None
            if ending := self._why_end():
                return ending
            self.news.clear()
            waited: list[Awaitable[Any]] = [self.news.wait()]
            if rising:
                waited.append(rising)
            if container and not container.over:
                waited.append(container.done.wait())
            await _first(waited, LOOK_SECONDS)

    def _why_end(self) -> Ending | None:
        metadata, spec = self.pod["metadata"], self.pod["spec"]
        if metadata.get("gone"):
            return Ending("gone", 1.0)
        if "deletionTimestamp" in metadata:
            return Ending("deleted", metadata["deletionGracePeriodSeconds"])
        begun, limit = self.pod["status"].get("startTime"), spec.get("activeDeadlineSeconds")
        grace = spec.get("terminationGracePeriodSeconds", 30)
        if begun and limit and self.runtime.now() >= stamps.nanoseconds(begun) / 10**9 + limit:
            return Ending("deadline", grace, "DeadlineExceeded", podstatus.DEADLINE)
        return self.eviction or self._full()

    def _full(self) -> Ending | None:
        limits = self.pod["spec"]["containers"][0]["resources"].get("limits") or {}
        much = limits.get("ephemeral-storage")
        if much and self.kubelet.used(self.voice.uid) > amount(much):
            said = f"Pod ephemeral local storage usage exceeds the total limit of containers {much}. "
            return Ending("evicted", LEAST_GRACE, "Evicted", said)
        for volume in self.pod["spec"].get("volumes") or ():
            most = (volume.get("emptyDir") or {}).get("sizeLimit")
            if most and self.kubelet.used(self.voice.uid, f"volumes/{volume['name']}") > amount(most):
                said = f'Usage of EmptyDir volume "{volume["name"]}" exceeds the limit "{most}". '
                return Ending("evicted", LEAST_GRACE, "Evicted", said)
        return None

    async def _wind_up(self, ending: Ending | None, rising: asyncio.Task[None] | None) -> None:
        if rising and not rising.done():
            if self.rising.committed:
                await asyncio.wait([rising])
            else:
                rising.cancel()
        if ending and ending.kind == "deadline":
            self.voice.tell("DeadlineExceeded", podstatus.DEADLINE, of_container=False)
            if (container := self.voice.container) and not container.over:
                await self.voice.report(podstatus.running(container.started_at), phase="Running", failing=True)
        if ending and ending.kind == "evicted":
            self.voice.tell("Evicted", ending.message, warning=True, of_container=False)
        container = self.voice.container
        if container and not container.over:
            await self._kill(container, ending)
        if not over(self.pod):
            await self._close(container, ending)
        await self._remove()

    async def _kill(self, container: Container, ending: Ending | None) -> None:
        self.voice.tell("Killing", f"Stopping container {container.name}")
        grace = ending.grace if ending else 0
        killing = asyncio.create_task(self.runtime.kill(container, grace))
        try:
            while not killing.done():
                self.news.clear()
                await _first([killing, self.news.wait()], None)
                now = self._why_end()
                if now and now.grace < grace and not killing.done():
                    killing.cancel()  # less grace than before
                    grace = now.grace
                    killing = asyncio.create_task(self.runtime.kill(container, grace))
        finally:
            killing.cancel()

    async def _close(self, container: Container | None, ending: Ending | None) -> None:
        """The last state of the container, and a moment later that of the pod."""
        state = self._last_state(container)
        failed = "terminated" not in state or state["terminated"]["exitCode"] != 0
        said = {"reason": ending.reason, "message": ending.message} if ending and ending.reason else {}
        if ending and ending.kind in ("deadline", "evicted"):
            failed = True
            if container:
                container.lost = ending.kind == "evicted"
        elif "terminated" in state and not ending:
            before = "Running" if container and container.started_at else "Pending"
            await self.voice.report(state, phase=before)
            await asyncio.sleep(self.kubelet.settings.teardown_seconds)
        self.voice.sandbox = False
        await self.voice.report(state, phase="Failed" if failed else "Succeeded", said=said)

    def _last_state(self, container: Container | None) -> Object:
        if container is None:
            said = "The container could not be located when the pod was terminated"
            return {"terminated": {"exitCode": 137, "reason": "ContainerStatusUnknown", "message": said,
                                   "startedAt": None, "finishedAt": None}}  # fmt: skip
        code = container.exit_code or 0
        reason = "Error" if code else "Completed"
        if container.error or container.oom_killed:
            reason = "StartError" if container.error else "OOMKilled"
        return podstatus.terminated(
            code, reason, container.started_at, container.finished_at, container.id, container.error
        )

    async def _remove(self) -> None:
        """When somebody wants it gone, the object goes last."""
        while not {"gone", "deletionTimestamp"} & set(self.pod["metadata"]):
            self.news.clear()
            await self.news.wait()
        await self.voice.bury()


async def _first(awaited: list[Any], seconds: float | None) -> None:
    """Until one of them is done, or the time is over; the others go on if they are tasks, and end if they are not."""
    own = [each if isinstance(each, asyncio.Task) else asyncio.ensure_future(each) for each in awaited]
    made = [task for task, each in zip(own, awaited, strict=True) if task is not each]
    try:
        await asyncio.wait(own, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in made:
            task.cancel()
