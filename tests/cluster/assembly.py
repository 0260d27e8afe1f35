"""A whole cluster in one event loop, and the requests that inject faults into it."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from . import happenings
from .containers import Runtime
from .deletion import delete
from .faults import Switchboard
from .kubelet import Kubelet, Settings
from .nodes import NodeController, Patience, disrupt, make_node
from .reading import Logs
from .replay import Replayer
from .scheduler import Scheduler
from .serving import Server
from .store import Store

NODE = "node1"
ROOM = {"cpu": "256", "memory": "1Ti", "ephemeral-storage": "1Ti", "pods": "250", "hugepages-2Mi": "0"}
PREEMPTED = "default-scheduler: preempting to accommodate a higher priority pod"


@dataclass(frozen=True)
class Plan:
    data: Path
    port: int = 0
    namespaces: tuple[str, ...] = ("towline-jobs",)
    room: dict[str, str] = field(default_factory=lambda: dict(ROOM))
    log_bytes: int = 10 * 1024**2
    log_files: int = 5
    schedule_seconds: float = 0.02
    replay_seconds: float = 0.05
    settings: Settings = field(default_factory=Settings)
    patience: Patience = field(default_factory=Patience)
    tls: ssl.SSLContext | None = None  # of the API server


class Assembly:
    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.store, self.faults = Store(), Switchboard()
        self.runtime = Runtime(plan.data, self.faults, log_bytes=plan.log_bytes, log_files=plan.log_files)
        up = asyncio.Event()
        self.replayer = Replayer(self.store, up, seconds=plan.replay_seconds)
        self.kubelet = Kubelet(NODE, self.store, self.runtime, self.replayer, up, plan.settings)
        self.server = Server(self.store, self.faults, Logs(self.kubelet, self.faults))
        self.server.up, self.server.tls = up, plan.tls
        self.scheduler = Scheduler(self.store, up, seconds=plan.schedule_seconds)
        self.controller = NodeController(self.store, self.kubelet, up, plan.patience)
        self.tasks: list[asyncio.Task[Any]] = []

    async def start(self) -> None:
        for name in ("default", "kube-system", *self.plan.namespaces):
            labels = {"kubernetes.io/metadata.name": name}
            made = {"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": name, "labels": labels},
                    "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}}  # fmt: skip
            self.store.create("namespaces", "", made)
        make_node(self.store, NODE, self.plan.room)
        await self.server.start(self.plan.port)
        self.kubelet.start()
        self.tasks += [asyncio.create_task(each) for each in (self.scheduler.run(), self.controller.run())]

    async def stop(self) -> None:
        for task in self.tasks:
            task.cancel()
        await self.server.stop()
        await self.kubelet.stop()
        await self.runtime.close()


class Control:
    """`POST /faults` with switches to set, `POST /do/<action>` with its arguments, `GET /faults`; on a socket of its own."""

    def __init__(self, cluster: Assembly) -> None:
        self.cluster = cluster
        self.actions: dict[str, Callable[..., Awaitable[Any]]] = {
            name.removeprefix("do_"): getattr(self, name) for name in dir(self) if name.startswith("do_")
        }

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        given = json.loads(await request.read() or b"{}")
        try:
            if request.path.startswith("/do/"):
                await self.actions[request.path.removeprefix("/do/")](**given)
            else:
                self.cluster.faults.set(given)
        except (KeyError, TypeError) as error:
            return web.json_response({"error": repr(error)}, status=400)
        return web.json_response(self.cluster.faults.as_json())

    async def do_drop_streams(self) -> None:
        self.cluster.server.drop_streams()

    async def do_forget_history(self) -> None:
        self.cluster.store.forget()

    async def do_stop_api(self) -> None:
        await self.cluster.server.stop()

    async def do_start_api(self) -> None:
        await self.cluster.server.start()

    async def do_hang_api(self) -> None:
        self.cluster.faults.api_away = "hang"
        self.cluster.server.up.clear()

    async def do_wake_api(self) -> None:
        self.cluster.faults.api_away = ""
        self.cluster.server.up.set()
        self.cluster.server.back.ring()

    async def do_stop_kubelet(self) -> None:
        await self.cluster.kubelet.stop()

    async def do_start_kubelet(self) -> None:
        self.cluster.kubelet.start()

    async def do_evict(
        self, namespace: str, name: str, message: str = "The node was low on resource: memory. "
    ) -> None:
        self.cluster.kubelet.evict(namespace, name, message)

    async def do_preempt(self, namespace: str, name: str) -> None:
        pod = self.cluster.store.read("pods", namespace, name)
        said = f"Preempted by pod 3ac254a3-aa0e-4f9f-953f-36629b09e2dc on node {NODE}"
        disrupt(self.cluster.store, pod, "PreemptionByScheduler", PREEMPTED)
        happenings.schedule(self.cluster.store, pod, "Preempted", said, "Preempting")

    async def do_delete(self, namespace: str, name: str, grace: int | None = None) -> None:
        pod = self.cluster.store.read("pods", namespace, name)
        delete(self.cluster.store, "pods", pod, {"gracePeriodSeconds": grace})

    async def do_label_node(self, labels: dict[str, str]) -> None:
        self._change_node(lambda node: node["metadata"]["labels"].update(labels))

    async def do_taint_node(self, taints: list[dict[str, str]]) -> None:
        self._change_node(lambda node: node["spec"].update(taints=taints))

    async def do_resize_node(self, room: dict[str, str]) -> None:
        self._change_node(lambda node: node["status"]["allocatable"].update(room))

    def _change_node(self, change: Callable[[dict[str, Any]], None]) -> None:
        node = json.loads(json.dumps(self.cluster.store.read("nodes", "", NODE)))
        change(node)
        self.cluster.store.update("nodes", node)
