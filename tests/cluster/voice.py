"""What the kubelet says about one pod: its status, and events. Waits for the API server, and is silent when the pod is gone."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING

from . import happenings, images, podstatus
from .containers import Container
from .deletion import delete
from .quantities import over
from .store import Object

if TYPE_CHECKING:
    from .kubelet import Kubelet


class Voice:
    def __init__(self, kubelet: Kubelet, pod: Object) -> None:
        self.kubelet, self.runtime = kubelet, kubelet.runtime
        self.uid: str = pod["metadata"]["uid"]
        self.namespace, self.name = pod["metadata"]["namespace"], pod["metadata"]["name"]
        self.container_name = pod["spec"]["containers"][0]["name"]
        self.pod = pod  # as it was last heard of
        self.sandbox = False
        self.address = f"10.244.0.{int(self.uid[:2], 16)}"

    @property
    def container(self) -> Container | None:
        return self.runtime.containers.get((self.uid, self.container_name))

    def fresh(self) -> Object | None:
        found = self.kubelet.store.find("pods", self.namespace, self.name)
        return found if found and found["metadata"]["uid"] == self.uid else None

    async def report(self, state: Object, phase: str = "Pending", *, failing: bool = False,
                     said: Mapping[str, str] | None = None) -> None:  # fmt: skip
        await self.kubelet.up.wait()
        fresh = self.fresh()
        if not fresh or over(fresh):
            return
        container = self.container
        known = container.id if container and (container.pid or container.error) else ""
        image = images.identity(self.pod["spec"]["containers"][0]["image"]) if known else ""
        status = podstatus.step(
            fresh, state, self.runtime.now(), sandbox=self.sandbox, identity=known, phase=phase, image=image,
            address=self.address, failing=failing,
        )  # fmt: skip
        self.kubelet.store.update("pods", {**copy.deepcopy(fresh), "status": {**status, **(said or {})}})

    def tell(self, reason: str, message: str, *, warning: bool = False, of_container: bool = True) -> None:
        if self.kubelet.up.is_set():
            happenings.tell(
                self.kubelet.store, self.pod, reason, message, self.kubelet.name,
                container=self.container_name if of_container else "", warning=warning, at=self.runtime.now(),
            )  # fmt: skip

    async def bury(self) -> None:
        """Nothing of it is left, and the object goes last."""
        await self.kubelet.up.wait()
        fresh = self.fresh()
        self.runtime.forget(self.uid)
        if fresh:
            delete(self.kubelet.store, "pods", fresh, {"gracePeriodSeconds": 0})
