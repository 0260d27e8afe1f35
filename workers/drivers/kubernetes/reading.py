"""Reading what a cluster answers, of which any part may be missing or odd: nothing here raises. Pure.

What the parts mean is said where they are used.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

JOB = "job"  # the container of a pod that the job itself is


def part(value: object, *path: str) -> Mapping[str, Any]:
    """The object at the end of the path, empty where there is none."""
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def parts(value: object, key: str) -> list[Mapping[str, Any]]:
    """The objects in the list under `key`."""
    found = value.get(key) if isinstance(value, Mapping) else None
    return objects(found)


def objects(value: object) -> list[Mapping[str, Any]]:
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        return []
    return [item for item in value if isinstance(item, Mapping)]


def text(value: object, key: str) -> str:
    found = value.get(key) if isinstance(value, Mapping) else None
    return found.strip() if isinstance(found, str) else ""


def number(value: object, key: str) -> int | None:
    found = value.get(key) if isinstance(value, Mapping) else None
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def moment(value: object, key: str) -> datetime | None:
    """A time with its zone; 1970 is what the kubelet says where it means never."""
    try:
        found = datetime.fromisoformat(text(value, key))
    except ValueError:
        return None
    found = found if found.tzinfo else found.replace(tzinfo=UTC)
    return found if found.year > 1970 else None


def named(value: Iterable[Mapping[str, Any]], name: str) -> Mapping[str, Any]:
    return next((item for item in value if item.get("name") == name), {})


def job_status(pod: Mapping[str, Any]) -> Mapping[str, Any]:
    return named(parts(part(pod, "status"), "containerStatuses"), JOB)


def job_ended(pod: Mapping[str, Any]) -> Mapping[str, Any]:
    """The `terminated` state of the job's container; its last one where a node lost sight of it, and says that it waits."""
    state = part(job_status(pod), "state")
    return part(state, "terminated") or ({} if "running" in state else part(job_status(pod), "lastState", "terminated"))


def condition(value: object, kind: str) -> Mapping[str, Any]:
    """The condition of this type in `status.conditions` of a pod or a node."""
    return next((item for item in parts(part(value, "status"), "conditions") if item.get("type") == kind), {})


def happened_at(event: Mapping[str, Any]) -> datetime | None:
    """When an event was seen last: which field says so depends on who wrote it."""
    series = moment(part(event, "series"), "lastObservedTime")
    return series or moment(event, "lastTimestamp") or moment(event, "eventTime") or moment(event, "firstTimestamp")
