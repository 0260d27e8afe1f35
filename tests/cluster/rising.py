"""The beginning of a pod on its node: volumes, image, configuration, container; and what it waits for on the way."""

from __future__ import annotations

import asyncio
from typing import Any

from . import images, podstatus
from .containers import StartError
from .planning import MissingError, Planner
from .quantities import amount
from .voice import Voice

PRESENT = 'Container image "{}" already present on machine and can be accessed by the pod'


class Rising:
    def __init__(self, voice: Voice) -> None:
        self.voice = voice
        self.committed = False  # from here on there may be a process

    async def run(self) -> None:
        settings = self.voice.kubelet.settings
        await self.voice.report(podstatus.waiting("ContainerCreating"))
        await asyncio.sleep(settings.start_seconds)
        planner = Planner(self.voice.kubelet.store, self.voice.runtime.pod_folder(self.voice.uid), self.voice.pod)
        await self._mount(planner)
        self.voice.sandbox = True
        await self.voice.report(podstatus.waiting("ContainerCreating"))
        await self._have_image()
        plan = await self._configure(planner)
        self.committed = True
        container = self.voice.runtime.make(self.voice.uid, self.voice.container_name)
        self.voice.tell("Created", "Container created")
        limits = self.voice.pod["spec"]["containers"][0]["resources"].get("limits") or {}
        try:
            memory = int(amount(limits["memory"])) if "memory" in limits else None
            await asyncio.shield(asyncio.create_task(self.voice.runtime.start(container, plan, memory)))
        except StartError as error:
            self.voice.tell("Failed", f"Error: {error}", warning=True)
            return
        self.voice.tell("Started", "Container started")
        if not container.over:
            await self.voice.report(podstatus.running(container.started_at), phase="Running")

    async def _mount(self, planner: Planner) -> None:
        while True:
            try:
                planner.mount()
            except MissingError as error:
                volume = next(
                    each["name"] for each in self.voice.pod["spec"]["volumes"] if {"secret", "configMap"} & set(each)
                )
                said = f'MountVolume.SetUp failed for volume "{volume}" : {error}'
                self.voice.tell("FailedMount", said, warning=True, of_container=False)
                await asyncio.sleep(self.voice.kubelet.settings.retry_seconds)
            else:
                return

    async def _have_image(self) -> None:
        container = self.voice.pod["spec"]["containers"][0]
        image, pause = container["image"], self.voice.kubelet.settings.backoff_seconds
        while True:
            seen = images.outlook(image, container["imagePullPolicy"], self.voice.kubelet.settings.images)
            if seen.present or image in self.voice.kubelet.pulled:
                self.voice.tell("Pulled", PRESENT.format(image))
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
        self.voice.tell("Pulling", f'Pulling image "{image}"')
        seconds = self.voice.kubelet.settings.pull_seconds if image.startswith(images.SLOW) else 0.01
        await asyncio.sleep(seconds)
        took = f"{int(seconds * 1000)}ms ({int(seconds * 1000)}ms including waiting)"
        self.voice.kubelet.pulled.add(image)
        self.voice.tell("Pulled", f'Successfully pulled image "{image}" in {took}. Image size: 2163712 bytes.')

    async def _stay(self, seen: images.Outlook) -> None:
        first = "InspectFailed" if seen.reason == "InvalidImageName" else seen.reason
        while True:
            self.voice.tell(first, seen.message, warning=True)
            self.voice.tell("Failed", f"Error: {seen.reason}", warning=True)
            await self.voice.report(podstatus.waiting(seen.reason, seen.message))
            await asyncio.sleep(self.voice.kubelet.settings.backoff_seconds)

    async def _back_off(self, image: str, seen: images.Outlook, pause: float) -> None:
        self.voice.tell("Pulling", f'Pulling image "{image}"')
        self.voice.tell("Failed", f'Failed to pull image "{image}": {seen.message}', warning=True)
        self.voice.tell("Failed", f"Error: {seen.reason}", warning=True)
        await self.voice.report(podstatus.waiting(seen.reason, seen.message))
        await asyncio.sleep(min(1.0, pause / 2))
        self.voice.tell("BackOff", f'Back-off pulling image "{image}"')
        self.voice.tell("Failed", "Error: ImagePullBackOff", warning=True)
        said = f'Back-off pulling image "{image}": {seen.reason}: {seen.message}'
        await self.voice.report(podstatus.waiting("ImagePullBackOff", said))
        await asyncio.sleep(pause)

    async def _configure(self, planner: Planner) -> Any:
        while True:
            planner.pod = self.voice.pod
            try:
                return planner.plan()
            except MissingError as error:
                self.voice.tell("Failed", f"Error: {error}", warning=True)
                await self.voice.report(podstatus.waiting("CreateContainerConfigError", str(error)))
                await asyncio.sleep(self.voice.kubelet.settings.retry_seconds)
