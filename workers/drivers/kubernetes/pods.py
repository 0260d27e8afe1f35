"""The pods of one cluster: asked for, changed, deleted. Every write names the one it means by its uid.

What an answer says of a pod is told to the watch of its namespace, so that who looks next never sees less than what was
done before.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from typing import Any

from workers.drivers.kubernetes.connection import MERGE_PATCH, ApiError, Cluster
from workers.drivers.kubernetes.watch import Watch
from workers.drivers.protocol import LABEL_INSTALLATION, Handle, Unavailable

ANOTHER = (404, 409, 422)  # what the API server says when the pod is not, or no longer, the one that was meant


class Pods:
    """Safe for many threads."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._watches: dict[str, Watch] = {}
        self._lock = threading.Lock()

    def watch(self, namespace: str) -> Watch:
        with self._lock:
            if namespace not in self._watches:
                self._watches[namespace] = Watch(self._cluster, namespace)
            return self._watches[namespace]

    def named(self, namespace: str, name: str) -> dict[str, Any] | None:
        """Whatever pod has this name now."""
        try:
            return self._learned(self._cluster.request("GET", _path(namespace, name)))
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def this(self, handle: Handle) -> dict[str, Any] | None:
        """The very pod of this handle as the API server knows it now; None when it is gone."""
        pod = self.named(namespace_of(handle), handle.name)
        if pod is not None and pod["metadata"]["uid"] == handle.uid:
            return pod
        self.watch(namespace_of(handle)).lost(handle.uid)
        return None

    def of(self, installation: str, namespace: str) -> Iterator[dict[str, Any]]:
        query = {"labelSelector": f"{LABEL_INSTALLATION}={installation}"}
        yield from self._cluster.request("GET", _path(namespace), query=query).get("items") or ()

    def create(self, manifest: Mapping[str, Any]) -> dict[str, Any]:
        return self._learned(self._cluster.request("POST", _path(manifest["metadata"]["namespace"]), body=manifest))

    def change(self, pod: Mapping[str, Any], spec: Mapping[str, Any], **annotations: str) -> bool:
        """Set these fields of its spec, and annotations. False when it is gone, or was another."""
        metadata = pod["metadata"]
        named = {"uid": metadata["uid"], **({"annotations": annotations} if annotations else {})}
        body = {"metadata": named, "spec": spec}
        path = _path(metadata["namespace"], metadata["name"])
        try:
            self._learned(self._cluster.request("PATCH", path, body=body, content_type=MERGE_PATCH))
        except ApiError as error:
            if error.status not in ANOTHER:
                raise
            left = self.named(metadata["namespace"], metadata["name"])
            if left is not None and left["metadata"]["uid"] == metadata["uid"]:
                raise Unavailable(f"the cluster did not change {metadata['name']}: {error}") from error
            return False
        return True

    def delete(self, pod: Mapping[str, Any], *, grace_seconds: int | None = None, unchanged: bool = False) -> bool:
        """False when it is gone, was another, or (`unchanged`) has changed since it was read.

        Without a grace its own counts; that of a pod that is over, or on no node yet, is none.
        """
        metadata = pod["metadata"]
        conditions = {"uid": metadata["uid"]}
        if unchanged:
            conditions["resourceVersion"] = metadata["resourceVersion"]
        body = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": conditions}
        if grace_seconds is not None:
            body["gracePeriodSeconds"] = grace_seconds  # type: ignore[assignment]  # a JSON object
        try:
            self._cluster.request("DELETE", _path(metadata["namespace"], metadata["name"]), body=body)
        except ApiError as error:
            if error.status not in (404, 409):
                raise
            return False
        return True

    def _learned(self, pod: Any) -> dict[str, Any]:
        told: dict[str, Any] = pod
        self.watch(told["metadata"]["namespace"]).learn(told)
        return told


def namespace_of(handle: Handle) -> str:
    return handle.place.partition("/")[2]


def handle_of(pod: Mapping[str, Any], place: str, driver: str) -> Handle:
    return Handle(driver, str(pod["metadata"]["name"]), str(pod["metadata"]["uid"]), place)


def _path(namespace: str, name: str = "") -> str:
    return f"/api/v1/namespaces/{namespace}/pods" + (f"/{name}" if name else "")
