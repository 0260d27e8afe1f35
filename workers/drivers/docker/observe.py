"""From the engine's own JSON to observations. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from workers.drivers.protocol import LABEL_ATTEMPT, LABEL_INSTALLATION, LABEL_JOB, Handle, Observation, Phase

NAME = "docker"
OUR_LABELS = (LABEL_INSTALLATION, LABEL_JOB, LABEL_ATTEMPT)
PHASES: Mapping[str, Phase] = {
    "created": Phase.CREATED,
    "running": Phase.RUNNING,
    "paused": Phase.RUNNING,
    "restarting": Phase.RUNNING,
    "exited": Phase.EXITED,
    "dead": Phase.EXITED,
    "removing": Phase.GONE,
}


def observe(answer: Mapping[str, Any], place: str) -> Observation:
    """What `GET /containers/{id}/json` says.

    A container that could not start stays `created` on the engine, with the reason in `State.Error`: it has had its
    one start, so it counts as exited.
    """
    state = answer["State"]
    phase = PHASES.get(state["Status"], Phase.RUNNING)
    error = str(state.get("Error") or "")
    if phase is Phase.CREATED and error:
        phase = Phase.EXITED
    return Observation(
        handle=Handle(NAME, answer["Name"].lstrip("/"), answer["Id"], place),
        phase=phase,
        exit_code=int(state["ExitCode"]) if phase is Phase.EXITED else None,
        oom_killed=bool(state.get("OOMKilled")),
        error=error,
        started_at=moment(state.get("StartedAt")),
        finished_at=moment(state.get("FinishedAt")),
        labels=answer["Config"].get("Labels") or {},
        created_at=moment(answer.get("Created")),
        raw=evidence(answer),
    )


def observe_listed(item: Mapping[str, Any], place: str) -> Observation:
    """What one entry of `GET /containers/json` says: no exit code, no error, no times but the creation's."""
    name = str((item.get("Names") or [""])[0]).lstrip("/")
    return Observation(
        handle=Handle(NAME, name, item["Id"], place),
        phase=PHASES.get(item["State"], Phase.RUNNING),
        labels=item.get("Labels") or {},
        created_at=datetime.fromtimestamp(item["Created"], UTC),
        raw={"State": item["State"], "Status": item.get("Status")},
    )


def gone(handle: Handle) -> Observation:
    return Observation(handle=handle, phase=Phase.GONE)


def is_ours(labels: Mapping[str, str]) -> bool:
    return all(label in labels for label in OUR_LABELS)


def evidence(answer: Mapping[str, Any]) -> dict[str, Any]:
    """The part worth keeping. Leaves out the environment, which may hold secrets."""
    config, host = answer["Config"], answer.get("HostConfig") or {}
    return {
        "State": dict(answer["State"]),
        "Path": answer.get("Path"),
        "Args": answer.get("Args"),
        "Image": answer.get("Image"),
        "Config": {key: config.get(key) for key in ("Image", "User", "WorkingDir")},
        "HostConfig": {key: host.get(key) for key in ("Memory", "NanoCpus", "PidsLimit", "NetworkMode")},
    }


def moment(stamp: str | None) -> datetime | None:
    """RFC 3339 with nanoseconds, cut to microseconds; the engine's year 1 means never."""
    if not stamp or stamp.startswith("0001-"):
        return None
    whole, _, fraction = stamp.removesuffix("Z").partition(".")
    return datetime.fromisoformat(f"{whole}.{fraction[:6]:0<6}+00:00")
