"""From a pod's JSON to observations. Pure.

A pod is over when it says so *and* nothing of it can still run: `Succeeded` may come before the container's end does. A machine
that is lost leaves `running` behind: that is over once the cluster has given up the machine. Behind the scheduling gate it was
never started. What lies between is pending.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from workers.drivers.kubernetes.holdup import holdup
from workers.drivers.kubernetes.reading import JOB, condition, job_ended, job_status, part, parts, text
from workers.drivers.protocol import LABEL_ATTEMPT, LABEL_INSTALLATION, LABEL_JOB, Handle, Observation, Phase

NAME = "kubernetes"
OUR_LABELS = (LABEL_INSTALLATION, LABEL_JOB, LABEL_ATTEMPT)
OVER = ("Succeeded", "Failed")
SETTLED = timedelta(seconds=5)  # what a container's end may come later than its pod's
OVERDUE = timedelta(seconds=30)  # of a machine that was to end a pod by now
LEFT_BEHIND = timedelta(seconds=10)  # the same of one that was given up by the cluster with its machine
GIVEN_UP = "DeletionByTaintManager"
OOM_KILLED = "OOMKilled"
STATUS_UNKNOWN, USED_TO_RUN = "ContainerStatusUnknown", "used to be Running"
_KEPT_OF_METADATA = (
    "name", "namespace", "uid", "labels", "annotations", "resourceVersion", "creationTimestamp", "deletionTimestamp",
    "deletionGracePeriodSeconds",
)  # fmt: skip
_LEFT_OUT_OF_SPEC = ("containers", "initContainers", "tolerations")
_LEFT_OUT_OF_CONTAINER = ("env", "envFrom", "volumeMounts", "terminationMessagePath", "terminationMessagePolicy")


def observe(
    pod: Mapping[str, Any],
    place: str,
    events: Sequence[Mapping[str, Any]] = (),
    node: Mapping[str, Any] | None = None,
    now: datetime | None = None,
) -> Observation:
    """What one pod says. `events` and `node` are evidence, where somebody asked for them."""
    metadata, now = pod["metadata"], now or datetime.now(UTC)
    phase, ended = phase_of(pod, now), job_ended(pod)
    over = phase is Phase.EXITED
    started_at = _started_at(pod)
    return Observation(
        handle=Handle(NAME, str(metadata["name"]), str(metadata["uid"]), place),
        phase=phase,
        exit_code=_exit_code(pod, ended) if over else None,
        oom_killed=over and ended.get("reason") == OOM_KILLED,
        error=_error(pod, ended) if over and started_at is None else "",
        started_at=started_at,
        finished_at=moment(ended.get("finishedAt")) if over else None,
        labels=metadata.get("labels") or {},
        created_at=moment(metadata.get("creationTimestamp")),
        raw={"pod": trimmed(pod), "events": list(events), "node": node},
        holdup=holdup(pod, events) if phase is Phase.PENDING else None,
        unreachable="" if over else unreachable(pod, node, now),
        image_digest=_digest(pod),
        node=str(pod["spec"].get("nodeName") or ""),
    )


def gone(
    handle: Handle,
    pod: Mapping[str, Any] | None = None,
    events: Sequence[Mapping[str, Any]] = (),
    node: Mapping[str, Any] | None = None,
) -> Observation:
    """`pod`: as it was when it was last seen; `node`: as it is now."""
    last = None if pod is None else trimmed(pod)
    return Observation(handle=handle, phase=Phase.GONE, raw={"pod": last, "events": list(events), "node": node})


def phase_of(pod: Mapping[str, Any], now: datetime) -> Phase:
    status, state = pod.get("status") or {}, _state(pod)
    if status.get("phase") in OVER:
        return Phase.EXITED if _is_over(pod, now) else Phase.RUNNING
    if pod["spec"].get("schedulingGates"):
        return Phase.CREATED
    if _is_left_behind(pod, now) or _is_outlived(pod, now):
        return Phase.EXITED
    # One that has ended is not over before its pod says so too: only then is it known why.
    return Phase.RUNNING if state.get("running") or _started_at(pod) or _is_unknown(pod) else Phase.PENDING


def is_ours(pod: Mapping[str, Any]) -> bool:
    labels = pod["metadata"].get("labels") or {}
    return all(label in labels for label in OUR_LABELS)


def has_begun(pod: Mapping[str, Any]) -> bool:
    """Whether its program may have run, and so said something. Old kubelets tell of no container of a pod that they evicted."""
    status = pod.get("status") or {}
    sent_away = status.get("reason") == "Evicted" and not text(status, "message").startswith("Pod was rejected")
    return _started_at(pod) is not None or status.get("phase") == "Succeeded" or sent_away


def is_terminal(pod: Mapping[str, Any]) -> bool:
    return (pod.get("status") or {}).get("phase") in OVER


def unreachable(pod: Mapping[str, Any], node: Mapping[str, Any] | None, now: datetime) -> str:
    """The cluster's sentence about a pod that it has lost sight of, or ""."""
    where = pod["spec"].get("nodeName")
    if not where:
        return ""
    if node is not None and (unready := condition(node, "Ready")) and unready.get("status") != "True":
        return str(unready.get("message") or f"The node {where} is not ready.")
    if _is_unknown(pod):
        return f"The state of the pod can't be obtained from the node {where}."
    if _was_given_up(pod):
        return f"The node {where} has stopped answering."
    end_by = moment(pod["metadata"].get("deletionTimestamp"))
    if end_by and now - end_by > OVERDUE:
        return f"The node {where} was to end the pod by {end_by:%H:%M:%S} UTC, and has not said that it did."
    return ""


def trimmed(pod: Mapping[str, Any]) -> dict[str, Any]:
    """The part worth keeping, in memory and as evidence. Leaves out the environment, which may hold secrets."""
    metadata, spec = pod["metadata"], pod["spec"]
    kept = {key: value for key, value in spec.items() if key not in _LEFT_OUT_OF_SPEC}
    for kind in ("containers", "initContainers"):
        if kind in spec:
            kept[kind] = [_without(container, _LEFT_OUT_OF_CONTAINER) for container in spec[kind]]
    return {
        "metadata": {key: metadata[key] for key in _KEPT_OF_METADATA if key in metadata},
        "spec": kept,
        "status": pod.get("status") or {},
    }


def moment(stamp: str | None) -> datetime | None:
    """RFC 3339, whole seconds or finer; 1970 stands for never."""
    if not stamp or stamp.startswith(("0001-", "1970-")):
        return None
    return datetime.fromisoformat(stamp.replace("Z", "+00:00"))


def _is_over(pod: Mapping[str, Any], now: datetime) -> bool:
    state = _state(pod)
    if state.get("terminated"):
        return True
    if pod["status"]["phase"] == "Failed":
        return not state.get("running")
    since = max(
        (moment(each.get("lastTransitionTime")) or now for each in parts(pod.get("status"), "conditions")), default=None
    )
    return since is not None and now - since > SETTLED


def _started_at(pod: Mapping[str, Any]) -> datetime | None:
    """Of one that its node can't find any more the pod's own start stands in: it may have begun, that much is certain.

    The node says the same of one that waited for its image; what never was a container has no id.
    """
    status, state = job_status(pod), _state(pod)
    ended = state.get("terminated") or (status.get("lastState") or {}).get("terminated") or {}
    told = moment((state.get("running") or ended).get("startedAt"))
    if told or ended.get("reason") != STATUS_UNKNOWN:
        return told
    has_run = status.get("containerID") or USED_TO_RUN in str(ended.get("message"))
    return moment(pod["status"].get("startTime") or pod["metadata"].get("creationTimestamp")) if has_run else None


def _is_unknown(pod: Mapping[str, Any]) -> bool:
    return (pod.get("status") or {}).get("phase") == "Unknown"


def _was_given_up(pod: Mapping[str, Any]) -> bool:
    """Whether it was the node controller that took `Ready` back: it leaves what the node said of the containers."""
    ready, containers = condition(pod, "Ready"), condition(pod, "ContainersReady")
    return ready.get("status") == "False" and containers.get("status") == "True"


def _is_left_behind(pod: Mapping[str, Any], now: datetime) -> bool:
    """Whether the cluster itself has given it up with its node, and waited in vain for the node to end it.

    It may run there all the same: nobody gets its name before it is certainly gone.
    """
    told = condition(pod, "DisruptionTarget")
    end_by = moment(pod["metadata"].get("deletionTimestamp"))
    is_given_up = told.get("status") == "True" and told.get("reason") == GIVEN_UP
    return is_given_up and end_by is not None and now - end_by > LEFT_BEHIND


def _is_outlived(pod: Mapping[str, Any], now: datetime) -> bool:
    """Whether its program has ended by itself, and containers that a cluster puts beside it go on for ever.

    Where the pod is being ended they have its grace, and only behind that is it told why it was.
    """
    finished = moment((_state(pod).get("terminated") or {}).get("finishedAt"))
    others = [each for each in parts(pod.get("status"), "containerStatuses") if each.get("name") != JOB]
    if finished is None or not any(part(each, "state", "running") for each in others):
        return False
    is_sent_away = (
        pod["metadata"].get("deletionTimestamp") or condition(pod, "DisruptionTarget").get("status") == "True"
    )
    grace = timedelta(seconds=pod["spec"].get("terminationGracePeriodSeconds") or 0)
    return not is_sent_away and now - finished > grace + SETTLED


def _exit_code(pod: Mapping[str, Any], ended: Mapping[str, Any]) -> int | None:
    if "exitCode" in ended:
        return int(ended["exitCode"])
    return 0 if pod["status"]["phase"] == "Succeeded" else None


def _error(pod: Mapping[str, Any], ended: Mapping[str, Any]) -> str:
    """Why it never began."""
    status = pod["status"]
    told = (ended.get("message"), ended.get("reason"), status.get("message"), status.get("reason"))
    return next((str(each) for each in told if each), "")


def _digest(pod: Mapping[str, Any]) -> str:
    """Of the image that runs; of one that has other names too, nodes tell any of them, which is none of the job's."""
    told = str(job_status(pod).get("imageID") or "").rpartition("://")[2]
    repository, _, digest = told.rpartition("@")
    if not repository:
        return told
    asked = next((str(each["image"]) for each in pod["spec"]["containers"] if each["name"] == JOB), "")
    return f"{repository}@{digest}" if repository == _repository(asked) else ""


def _repository(reference: str) -> str:
    """As nodes write it: with its registry, without tag and digest."""
    name = reference.partition("@")[0]
    path, colon, tag = name.rpartition(":")
    name = path if colon and "/" not in tag else name
    registry, slash, _ = name.partition("/")
    if not slash:
        return f"docker.io/library/{name}"
    return name if "." in registry or ":" in registry or registry == "localhost" else f"docker.io/{name}"


def _state(pod: Mapping[str, Any]) -> Mapping[str, Any]:
    return part(job_status(pod), "state")


def _without(whole: Mapping[str, Any], left_out: tuple[str, ...]) -> dict[str, Any]:
    return {key: value for key, value in whole.items() if key not in left_out}
