"""Ending pods: asked to end, withdrawn before they began, removed.

A pod that has a node is asked to end by a deadline of one second, and not by deleting it: its node sends TERM, waits the
grace that the pod itself has, kills, and the pod stays, with its log and its exit code. Nobody can make that grace shorter.
One that has no node yet is deleted, on condition that nothing about it has changed since it was seen so.

A pod on a machine that may be alive is never removed by force: its name would be free while its program still runs.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from workers.drivers.kubernetes.connection import ApiError, Cluster
from workers.drivers.kubernetes.manifest import ASKED
from workers.drivers.kubernetes.observe import is_terminal, phase_of
from workers.drivers.kubernetes.pods import Pods, namespace_of
from workers.drivers.protocol import Handle, Phase, Unavailable

TRIES = 5  # against somebody who changes the pod all the time: the scheduler
LOOK_SECONDS = 0.25
GRACE_SECONDS = 1
OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"


@dataclass(frozen=True)
class Ending:
    cluster: Cluster
    pods: Pods
    gone_seconds: float

    def stop(self, handle: Handle) -> None:
        self._end(handle, also_gated=False)

    def withdraw(self, handle: Handle) -> bool:
        return self._end(handle, also_gated=True)

    def remove(self, handle: Handle) -> None:
        """Raises `Unavailable` while it is still there after some seconds."""
        pod = self.pods.this(handle)
        if pod is None:
            return
        is_idle = is_terminal(pod) or not _node(pod)
        self.pods.delete(pod, grace_seconds=None if is_idle else GRACE_SECONDS)
        if self._is_gone_soon(handle):
            return
        if self._has_lost_its_node(pod):
            self.pods.delete(pod, grace_seconds=0)
            if self._is_gone_soon(handle):
                return
        raise Unavailable(f"{handle.name} is still there: the node {_node(pod)} has not said that it has ended")

    def _end(self, handle: Handle, *, also_gated: bool) -> bool:
        """Whether it was deleted before it could begin."""
        for _ in range(TRIES):
            pod = self.pods.this(handle)
            phase = Phase.GONE if pod is None else phase_of(pod, datetime.now(UTC))
            if pod is None or phase is Phase.EXITED or (phase is Phase.CREATED and not also_gated):
                return False
            if _node(pod):
                self.pods.change(pod, {"activeDeadlineSeconds": 1}, **{ASKED: "true"})
                return False
            if self.pods.delete(pod, unchanged=True):
                self.pods.watch(namespace_of(handle)).lost(handle.uid)
                return True
        raise Unavailable(f"{handle.name} changes faster than it can be withdrawn")

    def _is_gone_soon(self, handle: Handle) -> bool:
        watch, until = self.pods.watch(namespace_of(handle)), time.monotonic() + self.gone_seconds
        while self.pods.this(handle) is not None:
            if (left := until - time.monotonic()) <= 0:
                return False
            known = watch.last_of(handle.uid)
            watch.wait(handle.uid, known.version if known else 0, min(LOOK_SECONDS, left))
        return True

    def _has_lost_its_node(self, pod: Mapping[str, Any]) -> bool:
        """Whether it is certain that its machine runs nothing any more; who may not look does not know."""
        try:
            node = self.cluster.request("GET", f"/api/v1/nodes/{_node(pod)}")
        except ApiError as error:
            return error.status == 404
        except Unavailable:
            return False
        return any(taint.get("key") == OUT_OF_SERVICE for taint in node["spec"].get("taints") or ())


def _node(pod: Mapping[str, Any]) -> str:
    return str(pod["spec"].get("nodeName") or "")
