"""What becomes of a pod on its way in: defaults, validation, quotas, the restricted profile. And which changes it allows."""

from __future__ import annotations

import copy
import re
from typing import Any

from . import quantities
from .problems import Problem, forbidden, invalid
from .restricted import violations
from .store import Object, Store

NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
NAME_SAID = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character"
)
ENV_NAME = re.compile(r"[ -<>-~]+")
ENV_SAID = "a valid environment variable name must consist only of printable ASCII characters other than '='"
CHANGEABLE = ("activeDeadlineSeconds", "schedulingGates", "tolerations", "terminationGracePeriodSeconds")
SPEC_SAID = (
    "Forbidden: pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)
TOLERATED = [
    {"key": f"node.kubernetes.io/{key}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
    for key in ("not-ready", "unreachable")
]


def check_namespace(store: Store, namespace: str, resource: str, name: str) -> None:
    found = store.read("namespaces", "", namespace)
    if found["metadata"].get("deletionTimestamp"):
        why = f"unable to create new content in namespace {namespace} because it is being terminated"
        raise forbidden(resource, name, why)


def check_name(kind: str, obj: Object) -> None:
    name = obj.get("metadata", {}).get("name") or ""
    if not name and not obj.get("metadata", {}).get("generateName"):
        raise invalid(kind, "", ("metadata.name", "Required value: name or generateName is required"))
    if name and (not NAME.fullmatch(name) or len(name) > 253):
        raise invalid(kind, name, ("metadata.name", f'Invalid value: "{name}": {NAME_SAID}'))


def admit_pod(store: Store, namespace: str, given: Object) -> Object:
    """As it is stored. Raises `Problem`."""
    pod = copy.deepcopy(given)
    name = pod["metadata"].get("name", "")
    _validate(name, pod)
    _default(pod)
    _prioritise(store, name, pod)
    labels = store.read("namespaces", "", namespace)["metadata"].get("labels") or {}
    if labels.get("pod-security.kubernetes.io/enforce") == "restricted" and (found := violations(pod)):
        raise forbidden("pods", name, f'violates PodSecurity "restricted:latest": {", ".join(found)}')
    _count(store, namespace, name, pod)
    return pod


def _validate(name: str, pod: Object) -> None:
    spec, causes = pod.get("spec") or {}, []
    if not spec.get("containers"):
        causes.append(("spec.containers", "Required value"))
    for number, container in enumerate(spec.get("containers") or ()):
        causes += list(_container_causes(f"spec.containers[{number}]", container, spec))
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and not 0 < deadline < 2**31:
        text = f"Invalid value: {deadline}: must be between 1 and 2147483647, inclusive"
        causes.append(("spec.activeDeadlineSeconds", text))
    if spec.get("schedulingGates") and spec.get("nodeName"):
        causes.append(("spec.nodeName", "Forbidden: cannot be set until all schedulingGates have been cleared"))
    if causes:
        raise invalid("Pod", name, *causes)


def _container_causes(field: str, container: Object, spec: Object) -> Any:
    for each in ("name", "image"):
        if not container.get(each):
            yield f"{field}.{each}", "Required value"
    volumes = {volume["name"] for volume in spec.get("volumes") or ()}
    for number, mount in enumerate(container.get("volumeMounts") or ()):
        if mount["name"] not in volumes:
            yield f"{field}.volumeMounts[{number}].name", f'Not found: "{mount["name"]}"'
    for number, each in enumerate(container.get("env") or ()):
        if not ENV_NAME.fullmatch(each.get("name") or ""):
            yield f"{field}.env[{number}].name", f'Invalid value: "{each.get("name")}": {ENV_SAID}'
    yield from _resource_causes(f"{field}.resources", container.get("resources") or {})


def _resource_causes(field: str, resources: Object) -> Any:
    limits = resources.get("limits") or {}
    for kind in ("limits", "requests"):
        for key, text in (resources.get(kind) or {}).items():
            try:
                much = quantities.amount(text)
            except ValueError as error:
                raise Problem(400, f'Pod in version "v1" cannot be handled as a Pod: {error}') from error
            if kind == "requests" and key in limits and much > quantities.amount(limits[key]):
                yield (
                    f"{field}.requests",
                    f'Invalid value: "{text}": must be less than or equal to {key} limit of {limits[key]}',
                )


def _default(pod: Object) -> None:
    spec = pod["spec"]
    for key, value in {
        "restartPolicy": "Always", "terminationGracePeriodSeconds": 30, "dnsPolicy": "ClusterFirst",
        "serviceAccountName": "default", "serviceAccount": "default", "securityContext": {},
        "schedulerName": "default-scheduler", "enableServiceLinks": True, "preemptionPolicy": "PreemptLowerPriority",
    }.items():  # fmt: skip
        spec.setdefault(key, value)
    keys = {toleration.get("key") for toleration in spec.get("tolerations") or ()}
    spec["tolerations"] = [*(spec.get("tolerations") or ()), *(each for each in TOLERATED if each["key"] not in keys)]
    for container in [*spec["containers"], *(spec.get("initContainers") or ())]:
        container.setdefault("resources", {})
        container.setdefault("terminationMessagePath", "/dev/termination-log")
        container.setdefault("terminationMessagePolicy", "File")
        latest = ":" not in container["image"].rpartition("/")[2] or container["image"].endswith(":latest")
        container.setdefault(
            "imagePullPolicy", "Always" if latest and "@" not in container["image"] else "IfNotPresent"
        )
        resources = container["resources"]
        for key, text in (resources.get("limits") or {}).items():
            resources.setdefault("requests", {}).setdefault(key, text)
    pod["status"] = {"phase": "Pending", "qosClass": _class_of(spec)}
    if spec.get("schedulingGates"):
        message = "Scheduling is blocked due to non-empty scheduling gates"
        pod["status"]["conditions"] = [
            {"type": "PodScheduled", "status": "False", "lastProbeTime": None, "lastTransitionTime": None,
             "reason": "SchedulingGated", "message": message}
        ]  # fmt: skip


def _class_of(spec: Object) -> str:
    every = [container["resources"] for container in spec["containers"]]
    if not any(each.get("limits") or each.get("requests") for each in every):
        return "BestEffort"
    sure = all(
        {"cpu", "memory"} <= set(each.get("limits") or {}) and each.get("requests") == each["limits"] for each in every
    )
    return "Guaranteed" if sure else "Burstable"


def _prioritise(store: Store, name: str, pod: Object) -> None:
    asked = pod["spec"].get("priorityClassName")
    found = store.find("priorityclasses", "", asked) if asked else None
    if asked and not found:
        raise forbidden("pods", name, f"no PriorityClass with name {asked} was found")
    pod["spec"]["priority"] = found["value"] if found else 0


def _count(store: Store, namespace: str, name: str, pod: Object) -> None:
    for quota in store.list("resourcequotas", namespace):
        hard = quota["spec"].get("hard") or {}
        living = [each for each in store.list("pods", namespace) if not quantities.over(each)]
        asked, used = _measured([pod]), _measured(living)
        missing = [key for key in hard if key.startswith(("limits.", "requests.")) and key not in asked]
        if missing:
            containers = ",".join(each["name"] for each in pod["spec"]["containers"])
            said = "; ".join(f"{key} for: {containers}" for key in missing)
            raise forbidden("pods", name, f"failed quota: {quota['metadata']['name']}: must specify {said}")
        short = [
            key
            for key, limit in hard.items()
            if key in asked and used.get(key, 0) + asked[key] > quantities.amount(limit)
        ]
        if short:
            parts = [",".join(f"{key}={_plain(each.get(key, 0))}" for key in short) for each in (asked, used)]
            limited = ",".join(f"{key}={hard[key]}" for key in short)
            said = f"requested: {parts[0]}, used: {parts[1]}, limited: {limited}"
            raise forbidden("pods", name, f"exceeded quota: {quota['metadata']['name']}, {said}")


def _measured(pods: list[Object]) -> dict[str, Any]:
    measured: dict[str, Any] = {"pods": len(pods), "count/pods": len(pods)}
    for kind in ("requests", "limits"):
        for pod in pods:
            for container in pod["spec"]["containers"]:
                for key, text in (container["resources"].get(kind) or {}).items():
                    measured[f"{kind}.{key}"] = measured.get(f"{kind}.{key}", 0) + quantities.amount(text)
                    if kind == "requests":
                        measured[key] = measured.get(key, 0) + quantities.amount(text)
    return measured


def _plain(much: Any) -> str:
    return str(int(much)) if much == int(much) else f"{int(much * 1000)}m"


def check_pod_change(before: Object, after: Object) -> None:
    """Raises `Problem` for what may not change in a pod."""
    old, new, name = before["spec"], after["spec"], before["metadata"]["name"]
    if _fixed(old) != _fixed(new):
        raise invalid("Pod", name, ("spec", SPEC_SAID))
    gates = {each["name"] for each in old.get("schedulingGates") or ()}
    added = {each["name"] for each in new.get("schedulingGates") or ()} - gates
    if added:
        raise invalid(
            "Pod",
            name,
            (
                "spec.schedulingGates",
                f"Forbidden: only deletion is allowed, but found new scheduling gate '{added.pop()}'",
            ),
        )
    was, now = old.get("activeDeadlineSeconds"), new.get("activeDeadlineSeconds")
    if was is not None and (now is None or now > was):
        said = (
            f"Invalid value: {now}: must be less than or equal to previous value"
            if now
            else "must not update from a positive integer to nil value"
        )
        raise invalid("Pod", name, ("spec.activeDeadlineSeconds", said))
    if now is not None and not 0 < now < 2**31:
        raise invalid(
            "Pod",
            name,
            ("spec.activeDeadlineSeconds", f"Invalid value: {now}: must be between 1 and 2147483647, inclusive"),
        )


def _fixed(spec: Object) -> Object:
    kept = {key: value for key, value in spec.items() if key not in CHANGEABLE}
    kept["containers"] = [{**each, "image": ""} for each in spec["containers"]]
    return kept
