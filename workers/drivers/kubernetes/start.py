"""Starting a pod once: find or create it under its name, give it its Secret, take its gate away.

No lock is needed between workers: a name is given once by the API server, and taking the gate away is done by it, once, to
the very pod that was meant. Who was held up in between, while another ran it to its end and removed it, starts nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from secrets import token_hex
from typing import Any

from jobs.failpoints import reach
from jobs.verdicts import Verdict
from workers.drivers.kubernetes.attachment import secret_manifest
from workers.drivers.kubernetes.connection import ApiError, Cluster
from workers.drivers.kubernetes.holdup import refusal
from workers.drivers.kubernetes.manifest import pod_manifest, secret_of
from workers.drivers.kubernetes.observe import NAME, OUR_LABELS, phase_of
from workers.drivers.kubernetes.options import Options
from workers.drivers.kubernetes.pods import Pods, handle_of
from workers.drivers.protocol import Consent, ContainerSpec, Handle, HeldUp, Holdup, Phase, Refused, Unavailable


@dataclass(frozen=True)
class Starter:
    cluster: Cluster
    pods: Pods
    options: Options

    def start(self, spec: ContainerSpec, place_in: Callable[[str], str], consent: Consent) -> Handle:
        """`place_in`: the place of a handle in this namespace. See the protocol."""
        pod = self._adopt(spec)
        if pod is None:
            pod = self._create(spec, consent)
        handle = handle_of(pod, place_in(pod["metadata"]["namespace"]), NAME)
        if phase_of(pod, datetime.now(UTC)) is Phase.CREATED:
            reach("created")
            self._attach(spec, pod)
            consent(handle)
            # False: it is gone, so whoever removed it may have started it before. Looking will tell.
            self.pods.change(pod, {"schedulingGates": None})
        return handle

    def _adopt(self, spec: ContainerSpec) -> dict[str, Any] | None:
        """In all namespaces: projects may have moved since it was started."""
        for namespace in self.options.all_namespaces:
            pod = self.pods.named(namespace, spec.name)
            if pod is None:
                continue
            labels = pod["metadata"].get("labels") or {}
            if any(labels.get(key) != spec.labels.get(key, "") for key in OUR_LABELS):
                raise Refused(_stranger(pod))
            if pod["metadata"].get("deletionTimestamp") and pod["spec"].get("schedulingGates"):
                raise Unavailable(f"the cluster is removing an earlier {spec.name}")
            return pod
        return None

    def _create(self, spec: ContainerSpec, consent: Consent) -> dict[str, Any]:
        manifest = pod_manifest(spec, self.options, token_hex(4))
        secret_manifest(spec, "", "", "")  # what does not fit in is refused before there is anything
        consent(None)
        try:
            return self.pods.create(manifest)
        except Unavailable:
            if (found := self._adopt(spec)) is None:  # it may be there all the same
                raise
            return found
        except ApiError as error:
            return self._denied(spec, error)

    def _denied(self, spec: ContainerSpec, error: ApiError) -> dict[str, Any]:
        if error.status == 409 and (found := self._adopt(spec)) is not None:
            return found
        raise _denial(spec, error) from error

    def _attach(self, spec: ContainerSpec, pod: Mapping[str, Any]) -> None:
        """Its Secret, whose name is this pod's alone: one that is there already was made for it, from the same spec."""
        name, metadata = secret_of(pod), pod["metadata"]
        secret = None if name is None else secret_manifest(spec, name, metadata["namespace"], metadata["uid"])
        if secret is None:
            return
        try:
            self.cluster.request("POST", f"/api/v1/namespaces/{metadata['namespace']}/secrets", body=secret)
        except ApiError as error:
            if error.status != 409:
                raise _denial(spec, error) from error


def _denial(spec: ContainerSpec, error: ApiError) -> Exception:
    """What to raise for something that the API server does not make."""
    why = refusal(error.status, error.message, spec)
    if isinstance(why, Verdict):
        return Refused(why)
    if isinstance(why, Holdup):
        return HeldUp(why)
    return Unavailable(f"the cluster did not make what {spec.name} needs: {error}")


def _stranger(pod: Mapping[str, Any]) -> Verdict:
    metadata = pod["metadata"]
    return Verdict(
        "internal_error",
        f"The name {metadata['name']} is taken by a pod that is not this attempt's.",
        (f"uid: {metadata['uid']}", f"labels: {metadata.get('labels') or {}}"),
        "Rename or remove that pod; Towline leaves it alone.",
    )
