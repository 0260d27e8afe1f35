"""From a `ContainerSpec` to the pod that is asked for. Pure: what a job may do in a cluster stands here.

A bare pod with one container and the restrictions of a `restricted` namespace: no root unless asked for, no capability, no new
privileges, no token of the API, no restart. It is made with a scheduling gate, so that it is started by taking that away:
the API server does so once, whoever asks how often.

* What it gets is what it may use: requests are limits, so it is never squeezed out by a neighbour's borrowing.
* `command` without `entrypoint` is for the image's own ENTRYPOINT, as with Docker; one with stdin is run by `/bin/sh`, which
  has to know the whole command line, so `command` is all of it then.
* Processes share the pod's process namespace: the program is not process 1, for which signals would not end it, and what
  it leaves behind is reaped.
* The limit on processes (`pids`) is the node's to set; a pod can't ask for one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from jobs.verdicts import Verdict
from workers.drivers.kubernetes import attachment
from workers.drivers.kubernetes.attachment import FOLDER, SCRIPT, STDIN, literal
from workers.drivers.kubernetes.identity import container_context, identity_of
from workers.drivers.kubernetes.options import Options
from workers.drivers.kubernetes.quantity import in_bytes
from workers.drivers.kubernetes.reading import JOB
from workers.drivers.protocol import ContainerSpec, Refused

GATE = "towline.io/consent"
ASKED = "towline.io/asked-to-end"  # an annotation: its deadline is not one of time, somebody of ours set it to end it
LABEL_NETWORK = "towline.network"
OPEN_NETWORK = "bridge"
SHM_BYTES = 64 * 1024**2  # what every container runtime gives a pod by itself
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")


def pod_manifest(spec: ContainerSpec, options: Options, nonce: str = "") -> dict[str, Any]:
    """The body of the create request. Raises `Refused` for what a cluster has no way to do.

    `nonce` goes into the name of the attempt's Secret, see `attachment.secret_name`.
    """
    if spec.mounts:
        raise Refused(_no_mounts(spec))
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": spec.name, "namespace": options.namespace_of(spec.project), "labels": _labels(spec)},
        "spec": {
            "schedulingGates": [{"name": GATE}],
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "shareProcessNamespace": True,
            "securityContext": identity_of(spec, options.run_as).pod_context(),
            **_times(spec),
            **_placement(spec, options),
            "containers": [_container(spec, options, attachment.secret_name(spec, nonce))],
            "volumes": list(_volumes(spec, options, attachment.secret_name(spec, nonce))),
        },
    }


def preview(spec: ContainerSpec, options: Options) -> list[dict[str, Any]]:
    """The documents that would be created, for the eyes of people: without the values of secrets."""
    pod = pod_manifest(spec, options)
    name, namespace = attachment.secret_name(spec, ""), pod["metadata"]["namespace"]
    secret = attachment.secret_manifest(spec, name, namespace, "(the pod's)")
    return [pod] if secret is None else [pod, attachment.masked(secret)]


def secret_of(pod: Mapping[str, Any]) -> str | None:
    """The name of the Secret that this pod waits for."""
    for volume in pod["spec"].get("volumes") or ():
        if volume["name"] == attachment.VOLUME:
            return str(volume["secret"]["secretName"])
    return None


def _labels(spec: ContainerSpec) -> dict[str, str]:
    labels = dict(spec.labels)
    if spec.network != OPEN_NETWORK:
        labels[LABEL_NETWORK] = spec.network  # what NetworkPolicies select
    for key, value in labels.items():
        if not _LABEL_VALUE.fullmatch(value):
            field = "network" if key == LABEL_NETWORK else key
            problem = f"{field}: {value!r} is not made of up to 63 letters, digits, '-', '_' and '.'."
            raise Refused(_invalid(problem, f"Give `{field}` another name."))
    return labels


def _times(spec: ContainerSpec) -> dict[str, Any]:
    # With a grace of 0 whoever deletes the pod would not wait for the node to end it.
    times = {"terminationGracePeriodSeconds": max(1, math.ceil(spec.grace_seconds))}
    if spec.deadline_seconds is not None:
        times["activeDeadlineSeconds"] = max(1, math.ceil(spec.deadline_seconds))
    return times


def _placement(spec: ContainerSpec, options: Options) -> dict[str, Any]:
    told = {"kubernetes.io/arch": spec.arch, "topology.kubernetes.io/region": spec.region, **spec.requires}
    wanted = {
        "nodeSelector": {key: value for key, value in told.items() if value is not None},
        "tolerations": [dict(each) for each in options.tolerations],
        "priorityClassName": options.priority_class,
        "runtimeClassName": options.runtime_class,
        "imagePullSecrets": [{"name": name} for name in options.pull_secrets],
    }
    return {key: value for key, value in wanted.items() if value}


def _container(spec: ContainerSpec, options: Options, secret: str) -> dict[str, Any]:
    amounts = _resources(spec, options)
    return {
        "name": JOB,
        "image": spec.image,
        "imagePullPolicy": options.pull_policy,
        # Of a program that can't even be executed, runtimes tell in the output alone.
        "terminationMessagePolicy": "FallbackToLogsOnError",
        **_process(spec),
        "env": [*_platform(spec, options), *attachment.variables(spec, secret)],
        **({"workingDir": spec.working_dir} if spec.working_dir else {}),
        **({"tty": True} if spec.tty else {}),
        "resources": {"requests": amounts, "limits": dict(amounts)},
        "securityContext": container_context(spec),
        "volumeMounts": list(_mounts(spec)),
    }


def _process(spec: ContainerSpec) -> dict[str, Any]:
    entrypoint, arguments = spec.entrypoint or (), spec.command or ()
    if spec.script is not None:
        entrypoint, arguments = (SCRIPT,) if spec.script.startswith("#!") else ("/bin/sh", SCRIPT), ()
    if spec.stdin is not None:
        entrypoint, arguments = ("/bin/sh", "-c", f'exec "$@" < {STDIN}', "sh"), (*entrypoint, *arguments)
        if not arguments:
            problem = "stdin: the command line to feed it to is the image's own, which is not known here."
            raise Refused(_invalid(problem, "Give `command`, with the program as its first word."))
    told = {"command": entrypoint, "args": arguments}
    return {key: [literal(word) for word in words] for key, words in told.items() if words}


def _platform(spec: ContainerSpec, options: Options) -> Iterator[dict[str, str]]:
    if options.service_url and "TOWLINE_URI" not in spec.env:
        yield {"name": "TOWLINE_URI", "value": literal(options.service_url)}


def _resources(spec: ContainerSpec, options: Options) -> dict[str, str]:
    amounts = {"cpu": f"{max(1, math.ceil(spec.cpus * 1000))}m", "memory": in_bytes(spec.memory_bytes)}
    if spec.disk_bytes is not None:
        amounts["ephemeral-storage"] = in_bytes(spec.disk_bytes)
    if spec.gpus:
        amounts[options.gpu_resource] = str(spec.gpus)
    return amounts


def _volumes(spec: ContainerSpec, options: Options, secret: str) -> Iterator[dict[str, Any]]:
    scratch = min(options.scratch_bytes, spec.disk_bytes or options.scratch_bytes)
    yield {"name": "tmp", "emptyDir": {"sizeLimit": in_bytes(scratch)}}
    if spec.shm_bytes != SHM_BYTES:
        yield {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": in_bytes(spec.shm_bytes)}}
    if attachment.needs_secret(spec):
        yield attachment.volume(spec, secret)


def _mounts(spec: ContainerSpec) -> Iterator[dict[str, Any]]:
    yield {"name": "tmp", "mountPath": "/tmp"}  # noqa: S108  # nosec B108 - the container's own
    if spec.shm_bytes != SHM_BYTES:
        yield {"name": "shm", "mountPath": "/dev/shm"}  # noqa: S108  # nosec B108 - the container's own
    if attachment.needs_secret(spec):
        yield {"name": attachment.VOLUME, "mountPath": FOLDER, "readOnly": True}


def _no_mounts(spec: ContainerSpec) -> Verdict:
    return Verdict(
        "policy_denied",
        "A cluster gives jobs no folders of its nodes.",
        tuple(f"mount: {mount.source} at {mount.target}" for mount in spec.mounts),
        "Leave out `volumes`, or run it on `docker`.",
    )


def _invalid(problem: str, remedy: str) -> Verdict:
    return Verdict("invalid_spec", "A cluster can't carry out what was asked for.", (problem,), remedy)
