"""The kubelet's care for one pod: volumes, image, container, status, and its end. Forgets nothing that the runtime knows."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import time
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

from . import happenings, images, podstatus, stamps
from .containers import Container, StartError
from .deletion import delete
from .planning import MissingError, Planner
from .quantities import amount, over
from .store import Object

if TYPE_CHECKING:
    from .kubelet import Kubelet

PRESENT = 'Container image "{}" already present on machine and can be accessed by the pod'
LOOK_SECONDS = 1.0
LEAST_GRACE = 2.0  # of one that is evicted


class Ending:
    def __init__(self, kind: str, grace: float, reason: str = "", message: str = "") -> None:
        self.kind, self.grace, self.reason, self.message = kind, grace, reason, message


class PodWorker:
    def __init__(self, kubelet: Kubelet, pod: Object) -> None:
        self.kubelet, self.runtime = kubelet, kubelet.runtime
        self.uid: str = pod["metadata"]["uid"]
        self.namespace, self.name = pod["metadata"]["namespace"], pod["metadata"]["name"]
        self.container_name = pod["spec"]["containers"][0]["name"]
        self.pod = pod
        self.news = asyncio.Event()
        self.eviction: Ending | None = None
        self.committed = False
        self.sandbox = False
        self.address = f"10.244.0.{int(self.uid[:2], 16)}"

    @property
    def container(self) -> Container | None:
        return self.runtime.containers.get((self.uid, self.container_name))

    def hear(self, pod: Object | None) -> None:
        """Another version of the pod; None when it is gone."""
        if pod is None:
            self.pod = {**self.pod, "metadata": {**self.pod["metadata"], "gone": True}}
        else:
            self.pod = pod
        self.news.set()

    async def run(self) -> None:
        rising: asyncio.Task[None] | None = None
        try:
            if self.container is None and not over(self.pod):
                rising = asyncio.create_task(self._bring_up())
            ending = await self._watch_over(rising)
            await self._wind_up(ending, rising)
        finally:
            if rising:
                rising.cancel()

    async def _watch_over(self, rising: asyncio.Task[None] | None) -> Ending | None:
        """Until there is a reason to end it, or it has ended by itself (None)."""
        if over(self.pod):
            return None
        while True:
            container = self.container
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
        if much and self.kubelet.used(self.uid) > amount(much):
            said = f"Pod ephemeral local storage usage exceeds the total limit of containers {much}. "
            return Ending("evicted", LEAST_GRACE, "Evicted", said)
        for volume in self.pod["spec"].get("volumes") or ():
            most = (volume.get("emptyDir") or {}).get("sizeLimit")
            if most and self.kubelet.used(self.uid, f"volumes/{volume['name']}") > amount(most):
                said = f'Usage of EmptyDir volume "{volume["name"]}" exceeds the limit "{most}". '
                return Ending("evicted", LEAST_GRACE, "Evicted", said)
        return None

    # Its beginning

    async def _bring_up(self) -> None:
        settings = self.kubelet.settings
        await self._report(podstatus.waiting("ContainerCreating"))
        await asyncio.sleep(settings.start_seconds)
        planner = Planner(self.kubelet.store, self.runtime.pod_folder(self.uid), self.pod)
        await self._mount(planner)
        self.sandbox = True
        await self._report(podstatus.waiting("ContainerCreating"))
        await self._have_image()
        plan = await self._configure(planner)
        self.committed = True
        container = self.runtime.make(self.uid, self.container_name)
        self._tell("Created", "Container created")
        limits = self.pod["spec"]["containers"][0]["resources"].get("limits") or {}
        try:
            memory = int(amount(limits["memory"])) if "memory" in limits else None
            await self.runtime.start(container, plan, memory)
        except StartError as error:
            self._tell("Failed", f"Error: {error}", warning=True)
            return
        self._tell("Started", "Container started")
        if not container.over:
            await self._report(podstatus.running(container.started_at), phase="Running")

    async def _mount(self, planner: Planner) -> None:
        while True:
            try:
                planner.mount()
            except MissingError as error:
                volume = next(
                    each["name"] for each in self.pod["spec"]["volumes"] if {"secret", "configMap"} & set(each)
                )
                said = f'MountVolume.SetUp failed for volume "{volume}" : {error}'
                self._tell("FailedMount", said, warning=True, of_container=False)
                await asyncio.sleep(self.kubelet.settings.retry_seconds)
            else:
                return

    async def _have_image(self) -> None:
        container = self.pod["spec"]["containers"][0]
        image, pause = container["image"], self.kubelet.settings.backoff_seconds
        while True:
            seen = images.outlook(image, container["imagePullPolicy"], self.kubelet.settings.images)
            if seen.present or image in self.kubelet.pulled:
                self._tell("Pulled", PRESENT.format(image))
                return
            if seen.pullable:
                await self._pull(image)
                return
            if seen.for_ever:
                await self._stay(seen)
            else:
                await self._back_off(image, seen, pause)
            pause = min(pause * 2, 300)

    async def _pull(self, image: str) -> None:
        self._tell("Pulling", f'Pulling image "{image}"')
        seconds = self.kubelet.settings.pull_seconds if image.startswith(images.SLOW) else 0.01
        await asyncio.sleep(seconds)
        took = f"{int(seconds * 1000)}ms ({int(seconds * 1000)}ms including waiting)"
        self.kubelet.pulled.add(image)
        self._tell("Pulled", f'Successfully pulled image "{image}" in {took}. Image size: 2163712 bytes.')

    async def _stay(self, seen: images.Outlook) -> None:
        first = "InspectFailed" if seen.reason == "InvalidImageName" else seen.reason
        while True:
            self._tell(first, seen.message, warning=True)
            self._tell("Failed", f"Error: {seen.reason}", warning=True)
            await self._report(podstatus.waiting(seen.reason, seen.message))
            await asyncio.sleep(self.kubelet.settings.backoff_seconds)

    async def _back_off(self, image: str, seen: images.Outlook, pause: float) -> None:
        self._tell("Pulling", f'Pulling image "{image}"')
        self._tell("Failed", f'Failed to pull image "{image}": {seen.message}', warning=True)
        self._tell("Failed", f"Error: {seen.reason}", warning=True)
        await self._report(podstatus.waiting(seen.reason, seen.message))
        await asyncio.sleep(min(1.0, pause / 2))
        self._tell("BackOff", f'Back-off pulling image "{image}"')
        self._tell("Failed", "Error: ImagePullBackOff", warning=True)
        said = f'Back-off pulling image "{image}": {seen.reason}: {seen.message}'
        await self._report(podstatus.waiting("ImagePullBackOff", said))
        await asyncio.sleep(pause)

    async def _configure(self, planner: Planner) -> Any:
        while True:
            planner.pod = self.pod
            try:
                if refusal := planner.refusal():
                    raise MissingError(refusal)
                return planner.plan()
            except MissingError as error:
                self._tell("Failed", f"Error: {error}", warning=True)
                await self._report(podstatus.waiting("CreateContainerConfigError", str(error)))
                await asyncio.sleep(self.kubelet.settings.retry_seconds)

    # Its end

    async def _wind_up(self, ending: Ending | None, rising: asyncio.Task[None] | None) -> None:
        if rising and not rising.done():
            if self.committed:
                await asyncio.wait([rising])
            else:
                rising.cancel()
        if ending and ending.kind == "deadline":
            self._tell("DeadlineExceeded", podstatus.DEADLINE, of_container=False)
        if ending and ending.kind == "evicted":
            self._tell("Evicted", ending.message, warning=True, of_container=False)
        container = self.container
        if container and not container.over:
            await self._kill(container, ending)
        if not over(self.pod):
            await self._close(container, ending)
        await self._remove()

    async def _kill(self, container: Container, ending: Ending | None) -> None:
        self._tell("Killing", f"Stopping container {container.name}")
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
        elif "terminated" in state and not ending:
            before = "Running" if container and container.started_at else "Pending"
            await self._report(state, phase=before)
            await asyncio.sleep(self.kubelet.settings.teardown_seconds)
        self.sandbox = False
        await self._report(state, phase="Failed" if failed else "Succeeded", **said)

    def _last_state(self, container: Container | None) -> Object:
        if container is None:
            said = "The container could not be located when the pod was terminated"
            return {"terminated": {"exitCode": 137, "reason": "ContainerStatusUnknown", "message": said,
                                   "startedAt": None, "finishedAt": None}}  # fmt: skip
        code = container.exit_code or 0
        reason = (
            "StartError"
            if container.error
            else "OOMKilled"
            if container.oom_killed
            else "Completed"
            if not code
            else "Error"
        )
        return podstatus.terminated(
            code, reason, container.started_at, container.finished_at, container.id, container.error
        )

    async def _remove(self) -> None:
        """When somebody wants it gone, the object goes last."""
        while not {"gone", "deletionTimestamp"} & set(self.pod["metadata"]):
            self.news.clear()
            await self.news.wait()
        await self.kubelet.up.wait()
        fresh = self._fresh()
        self.runtime.forget(self.uid)
        if fresh:
            delete(self.kubelet.store, "pods", fresh, {"gracePeriodSeconds": 0})

    # What it says

    def _fresh(self) -> Object | None:
        found = self.kubelet.store.find("pods", self.namespace, self.name)
        return found if found and found["metadata"]["uid"] == self.uid else None

    async def _report(self, state: Object, phase: str = "Pending", **said: str) -> None:
        await self.kubelet.up.wait()
        fresh = self._fresh()
        if not fresh or over(fresh):
            return
        container = self.container
        known = container.id if (container and container.pid) or (container and container.error) else ""
        image = images.identity(self.pod["spec"]["containers"][0]["image"]) if known else ""
        status = podstatus.step(
            fresh, state, self.runtime.now(), sandbox=self.sandbox or bool(known and phase in ("Pending", "Running")),
            identity=known, phase=phase, image=image, address=self.address,
        )  # fmt: skip
        self.kubelet.store.update("pods", {**copy.deepcopy(fresh), "status": {**status, **said}})

    def _tell(self, reason: str, message: str, *, warning: bool = False, of_container: bool = True) -> None:
        name = self.container_name if of_container else ""
        node = self.kubelet.name
        if self.kubelet.up.is_set():
            at = time.time() + self.kubelet.runtime.faults.skew_seconds
            happenings.tell(self.kubelet.store, self.pod, reason, message, node, container=name, warning=warning, at=at)


async def _first(awaited: list[Any], seconds: float | None) -> None:
    """Until one of them is done, or the time is over; the others go on if they are tasks, and end if they are not."""
    own = [each if isinstance(each, asyncio.Task) else asyncio.ensure_future(each) for each in awaited]
    made = [task for task, each in zip(own, awaited, strict=True) if task is not each]
    try:
        await asyncio.wait(own, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in made:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*made, return_exceptions=True)
