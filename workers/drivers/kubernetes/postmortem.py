"""What a pod, its events and its node say of its end, read once for `judge`. Pure; nothing is judged here."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from workers.drivers.kubernetes.manifest import ASKED
from workers.drivers.kubernetes.reading import (
    JOB,
    condition,
    job_ended,
    job_status,
    moment,
    named,
    number,
    objects,
    part,
    parts,
    text,
)
from workers.drivers.protocol import Observation

SENT_BY_KUBELET = {128 + signal.SIGTERM, 128 + signal.SIGKILL}
YEAR_SECONDS = 365 * 86400
# The kubelet takes an ended pod out of the API within seconds; the time of a graceful deletion is then no longer told. And a
# node's clock may be behind that of whoever sent the pod away.
SOON = timedelta(seconds=10)


@dataclass(frozen=True)
class Ending:
    """`name` and `ended` are of the container that decides: the job's, or the init container that kept it from beginning.

    `ended` is its `terminated` state, empty where none is known.
    """

    pod: Mapping[str, Any]
    events: list[Mapping[str, Any]]
    node: Mapping[str, Any]
    name: str
    ended: Mapping[str, Any]
    exit_code: int | None
    out_of_memory: bool
    error: str

    @property
    def status(self) -> Mapping[str, Any]:
        return part(self.pod, "status")

    @property
    def is_init(self) -> bool:
        return self.name != JOB

    @property
    def finished_at(self) -> datetime | None:
        return moment(self.ended, "finishedAt")

    @property
    def began(self) -> bool:
        return moment(self.ended, "startedAt") is not None or "running" in part(job_status(self.pod), "state")

    @property
    def disruption(self) -> Mapping[str, Any]:
        """The condition that says who sent it away, if that was before it ended by itself."""
        found = condition(self.pod, "DisruptionTarget")
        since, finished = moment(found, "lastTransitionTime"), self.finished_at
        is_late = since is not None and finished is not None and finished < since and not self._may_be_of(since)
        return {} if found.get("status") != "True" or is_late else found

    @property
    def was_asked(self) -> bool:
        """By us. The cluster then says that its deadline was reached, which is how we ask."""
        return ASKED in part(self.pod, "metadata", "annotations")

    @property
    def was_told(self) -> bool:
        """The kubelet ended it: it says so only of a container that was running."""
        return any(text(event, "reason") == "Killing" and self.name in _containers(event) for event in self.events)

    @property
    def was_deleted(self) -> bool:
        """Somebody deleted the pod while it was under way; not so when that came after its end."""
        asked = deletion_asked_at(self.pod)
        if not text(part(self.pod, "metadata"), "deletionTimestamp"):
            return False
        finished = self.finished_at
        return finished is None or asked is None or asked <= finished or self._may_be_of(asked)

    def _may_be_of(self, asked: datetime) -> bool:
        """Whether it ended because that was asked for, though its end is told to be the earlier."""
        if self.was_told:
            return True
        finished = self.finished_at
        is_soon = finished is not None and asked - finished <= SOON
        return is_soon and self.exit_code in SENT_BY_KUBELET


def read_ending(seen: Observation) -> Ending:
    pod = part(seen.raw, "pod")
    name, ended = _decisive(pod)
    code = number(ended, "exitCode")
    return Ending(
        pod=pod,
        events=objects(seen.raw.get("events")),
        node=part(seen.raw, "node"),
        name=name,
        ended=ended,
        exit_code=seen.exit_code if code is None else code,
        out_of_memory=text(ended, "reason") == "OOMKilled" or (seen.oom_killed and name == JOB),
        error=seen.error,
    )


def deletion_asked_at(pod: Mapping[str, Any]) -> datetime | None:
    """Its `deletionTimestamp` is when the grace is over."""
    metadata = part(pod, "metadata")
    until = moment(metadata, "deletionTimestamp")
    grace = number(metadata, "deletionGracePeriodSeconds") or 0
    return until and until - timedelta(seconds=min(max(grace, 0), YEAR_SECONDS))


def memory_limit(end: Ending) -> str:
    return str(part(_declared(end), "resources", "limits").get("memory") or "")


def command(end: Ending) -> str:
    """What was to be run, as far as the pod says: an image's own command is not in it."""
    words = _declared(end).get("command") or _declared(end).get("args") or ()
    return str(words[0]) if isinstance(words, list | tuple) and words else "?"


def working_dir(end: Ending) -> str:
    return text(_declared(end), "workingDir") or "/"


def user(end: Ending) -> str:
    own = part(_declared(end), "securityContext").get("runAsUser")
    said = part(end.pod, "spec", "securityContext").get("runAsUser") if own is None else own
    return "of the image" if said is None else str(said)


def facts(end: Ending) -> tuple[str, ...]:
    """What is known of the end, most telling first; never the environment, which may hold secrets."""
    said = {
        "exit code": end.exit_code,
        "reason": end.ended.get("reason"),
        "startedAt": end.ended.get("startedAt") if end.began else None,
        "finishedAt": end.ended.get("finishedAt"),
        "waiting": _words(part(job_status(end.pod), "state", "waiting")),
        "pod": " ".join(filter(None, (text(end.status, "phase"), text(end.status, "reason")))),
        "node": text(part(end.pod, "spec"), "nodeName"),
        "memory limit": memory_limit(end),
        "deletionTimestamp": part(end.pod, "metadata").get("deletionTimestamp"),
    }
    return tuple(f"{key}: {value}" for key, value in said.items() if value not in (None, ""))


def _words(state: Mapping[str, Any]) -> str:
    return ": ".join(filter(None, (text(state, "reason"), text(state, "message")[:500])))


def _declared(end: Ending) -> Mapping[str, Any]:
    spec = part(end.pod, "spec")
    return named((*parts(spec, "containers"), *parts(spec, "initContainers")), end.name)


def _decisive(pod: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    ended = job_ended(pod)
    if ended or "running" in part(job_status(pod), "state"):
        return JOB, ended
    for status in parts(part(pod, "status"), "initContainerStatuses"):
        broken = part(status, "state", "terminated")
        if broken and number(broken, "exitCode") != 0:
            return text(status, "name") or "init", broken
    return JOB, {}


def _containers(event: Mapping[str, Any]) -> tuple[str, ...]:
    """The containers that an event is of: by its field path, else by its words."""
    inside = text(part(event, "involvedObject"), "fieldPath").partition("{")[2].rstrip("}")
    return (inside,) if inside else tuple(text(event, "message").split())
