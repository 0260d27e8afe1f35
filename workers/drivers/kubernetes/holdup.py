"""Why a pod that may start has not begun. Pure, from the pod and its events.

Each answer comes with the verdict that the attempt ends with if it stays so. A pull under way, and a container that is
being made, are no trouble. What the API server does not even take is in `refusals`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from jobs.verdicts import Verdict
from workers.drivers.kubernetes.pulling import NOT_ON_NODE, pull_code, pull_verdict
from workers.drivers.kubernetes.reading import condition, happened_at, objects, part, parts, text
from workers.drivers.kubernetes.refusals import refusal as refusal
from workers.drivers.kubernetes.scheduling import unschedulable
from workers.drivers.kubernetes.words import REMEDIES, reason_of
from workers.drivers.protocol import Holdup

IMAGE_REASONS = {
    "ErrImagePull",
    "ImagePullBackOff",
    "ImageInspectError",
    "InvalidImageName",
    "ErrImageNeverPull",
    "RegistryUnavailable",
    "SignatureValidationFailed",
}
CONFIG_REASONS = {
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
    "CreatePodSandboxError",
    "ConfigPodSandboxError",
    "PreCreateHookError",
    "PreStartHookError",
    "PostStartHookError",
    "CrashLoopBackOff",
}
VOLUME_EVENTS = {
    "FailedMount": "A volume cannot be mounted",
    "FailedAttachVolume": "A volume cannot be attached",
    "FailedMapVolume": "A volume cannot be mapped",
}
NODE_EVENTS = {
    **VOLUME_EVENTS,
    "FailedCreatePodSandBox": "The node cannot make the pod's sandbox",
    "FailedCreatePodContainer": "The node cannot make the container",
    "NetworkNotReady": "The node's network is not ready",
    "FailedPreStartHook": "The hook before the start failed",
}
# The next things that happen on a node. Only they say that it is past its trouble: much else is said again and again, as
# `SandboxChanged` after each sandbox that failed, and `DNSConfigForming`.
PAST = {"Scheduled", "SuccessfulAttachVolume", "Pulling", "Pulled", "Created", "Started"}
# Of a volume, a time-out is told now and then in between; what is behind it is told apart.
VAGUE = re.compile(r"timed out waiting for the condition|context deadline exceeded")
RECENT = timedelta(minutes=5)  # the kubelet tries volumes again after two minutes at most
COMBINED = "(combined from similar events): "
# An image does not change, so what can never start in it need not be waited for.
FOR_EVER = {"command_not_found", "command_not_executable", "bad_working_dir", "wrong_platform"}
MISSING = re.compile(
    r"(?P<kind>secret|configmap)s? \"(?P<name>[^\"]+)\" not found"
    r"|couldn't find key (?P<key>\S+) in (?P<of>secret|configmap) (?P<where>\S+)"
    r"|references non-existent (?P<of2>secret|configmap) key: (?P<key2>\S+)"
    r"|object \"[^\"]*\"/\"(?P<object>[^\"]+)\" not registered",
    re.IGNORECASE,
)


def holdup(pod: Mapping[str, Any], events: Iterable[Mapping[str, Any]] = ()) -> Holdup | None:
    """None while nothing is wrong. Events of the pod keep the cause where its state says only "back-off"."""
    told = objects(list(events))
    placed = condition(pod, "PodScheduled")
    if placed.get("status") == "False":
        return _unplaced(placed, pod)
    for status in (*parts(part(pod, "status"), "initContainerStatuses"), *_containers(pod)):
        waiting = part(status, "state", "waiting")
        if found := _waiting(waiting, text(status, "image"), told):
            return found
    if _has_begun(pod):
        return None
    return _of_node(told) or (_unplaced_event(told, pod) if not text(part(pod, "spec"), "nodeName") else None)


def _containers(pod: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return parts(part(pod, "status"), "containerStatuses")


def _has_begun(pod: Mapping[str, Any]) -> bool:
    """Then older events are none of our business."""
    return any(part(status, "state", state) for status in _containers(pod) for state in ("running", "terminated"))


def _unplaced(placed: Mapping[str, Any], pod: Mapping[str, Any]) -> Holdup | None:
    return None if text(placed, "reason") == "SchedulingGated" else unschedulable(text(placed, "message"), pod)


def _unplaced_event(events: list[Mapping[str, Any]], pod: Mapping[str, Any]) -> Holdup | None:
    last = _latest(events)
    return unschedulable(text(last, "message"), pod) if text(last, "reason") == "FailedScheduling" else None


def _waiting(waiting: Mapping[str, Any], image: str, events: list[Mapping[str, Any]]) -> Holdup | None:
    reason, message = text(waiting, "reason"), text(waiting, "message")
    if reason in IMAGE_REASONS:
        return _image(reason, message, image, events)
    if reason in CONFIG_REASONS:
        return _config(message or _latest_message(events, "Failed") or reason)
    return None


def _image(reason: str, message: str, image: str, events: list[Mapping[str, Any]]) -> Holdup:
    if reason == "InvalidImageName":
        return _held("image", pull_verdict("image_invalid_name", image, message), hopeless=True)
    if reason == "ErrImageNeverPull" and "proper credentials" in message:  # of an image that others may use there
        return _held("image", pull_verdict("image_unauthorized", image, message))
    if reason == "ErrImageNeverPull":
        return _held("image", pull_verdict("image_not_found", image, message, NOT_ON_NODE))
    words = _cause(message) or _pull_event(events) or message
    code = "image_registry_unreachable" if reason == "RegistryUnavailable" else pull_code(words.replace(image, ""))
    return _held("image", pull_verdict(code, image, words))


def _cause(message: str) -> str:
    """Newer kubelets keep the cause in the back-off's message; older say nothing but the image's name in it."""
    words = re.sub(r"^Back-off pulling image \"[^\"]*\"(: )?", "", message)
    return re.sub(r"^(ErrImagePull|ImageInspectError|SignatureValidationFailed): ", "", words)


def _pull_event(events: list[Mapping[str, Any]]) -> str:
    pulls = [
        event
        for event in events
        if text(event, "message").removeprefix(COMBINED).startswith(("Failed to pull image", "Failed to inspect"))
    ]
    return text(_latest(pulls), "message").removeprefix(COMBINED)


def _config(message: str) -> Holdup:
    if found := MISSING.search(message):
        return _held("config", _missing(found, message))
    code, remedy = reason_of(message) or ("internal_error", REMEDIES["internal_error"])
    summary = f"The container cannot be made: {_short(message)}"
    return _held("config", Verdict(code, summary, (message[:1000],), remedy), hopeless=code in FOR_EVER)


def _missing(found: re.Match[str], message: str) -> Verdict:
    kind = (found["kind"] or found["of"] or found["of2"] or "object").lower()
    name = found["name"] or found["where"] or found["object"] or ""
    key = found["key"] or found["key2"]
    what = f"the key {key} of the {kind} {name}".rstrip() if key else f"the {kind} {name}"
    code = "invalid_spec" if kind == "configmap" else "secret_missing"
    remedy = "It belongs to the pod and was deleted under it: run the job again."
    return Verdict(code, f"In the cluster {what} is missing.", (message[:1000],), remedy)


def _of_node(events: list[Mapping[str, Any]]) -> Holdup | None:
    """What was overcome since is no trouble any more."""
    last = _telling(events)
    said = NODE_EVENTS.get(text(last, "reason"))
    if said is None:
        return None
    message = text(last, "message").removeprefix(COMBINED)
    if found := MISSING.search(message):
        return _held("config", _missing(found, message))
    code, remedy = _of_volume(message) or reason_of(message) or ("internal_error", REMEDIES["internal_error"])
    return _held("config", Verdict(code, f"{said}: {_short(message)}", (message[:1000],), remedy))


def _telling(events: list[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The event that says where the node is; of a volume, rather the one that says why than the latest."""
    last = _latest(event for event in events if text(event, "reason") in {*NODE_EVENTS, *PAST})
    at = happened_at(last)
    if text(last, "reason") not in VOLUME_EVENTS or at is None or not VAGUE.search(text(last, "message")):
        return last
    volumes = (event for event in events if text(event, "reason") in VOLUME_EVENTS)
    clear = _latest(event for event in volumes if not VAGUE.search(text(event, "message")))
    since = happened_at(clear)
    return clear if since and at - since <= RECENT else last


def _of_volume(message: str) -> tuple[str, str] | None:
    if re.search(r"hostpath type check failed|persistentvolumeclaim .*not found", message, re.IGNORECASE):
        return "invalid_spec", "Correct the job's inputs, or make what they name."
    return None


def _held(reason: str, verdict: Verdict, *, hopeless: bool = False) -> Holdup:
    said = f" {_short(verdict.evidence[0])}" if reason == "image" and verdict.evidence else ""
    return Holdup(reason, verdict.summary + said, verdict, hopeless)


def _short(message: str) -> str:
    """Its last part says what is wrong; the rest is who called whom."""
    return message if len(message) <= 200 else "…" + message[-200:]


def _latest(events: Iterable[Mapping[str, Any]]) -> Mapping[str, Any]:
    never = datetime.min.replace(tzinfo=UTC)
    return max(events, key=lambda event: happened_at(event) or never, default={})


def _latest_message(events: Iterable[Mapping[str, Any]], reason: str) -> str:
    last = _latest(event for event in events if text(event, "reason") == reason)
    return text(last, "message").removeprefix("Error: ")
