"""Where and with what an attempt ran, as texts to be compared: what failing runs may have in common, and passing ones lack."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import Any

from jobs.models import Attempt
from tracing.models import Span

ATTRIBUTE_CHARACTERS = 200
# Of the spans below, under the names that they have there; what comes first counts.
OF_SPANS = {
    "node": ("node", "k8s.node.name", "host.name"),
    "arch": ("arch", "host.arch"),
    "digest": ("digest",),
    "cache_hit": ("cache_hit",),
}
OPERATIONS = ("attempt", "run", "resolve image", "execute")
IDS_AT_ONCE = 500


def attributes(attempts: Sequence[Attempt]) -> list[dict[str, str]]:
    """Of each in turn. One that is not traced has fewer."""
    told = _told_by_spans({attempt.pk: str(attempt.job_id) for attempt in attempts})
    return [_texts({**told.get(attempt.pk, {}), **_stored(attempt)}) for attempt in attempts]


def _stored(attempt: Attempt) -> dict[str, Any]:
    job, needs = attempt.job, attempt.job.needs
    known = {
        "worker": attempt.worker,
        "runtime": attempt.runtime,
        "engine": attempt.engine,
        "image": job.image,
        "digest": attempt.image_digest,
        "project": job.project.name,
        "region": needs.get("region"),
        "arch": needs.get("arch"),
        "memory": attempt.memory_bytes,
        "cpus": needs.get("cpus"),
        "attempt": attempt.number,
        "hour": f"{(attempt.started_at or attempt.created_at).astimezone(UTC):%H} UTC",
        **{f"label {key}": value for key, value in job.labels.items()},
    }
    return {name: value for name, value in known.items() if value not in (None, "")}


def _told_by_spans(jobs: Mapping[int, str]) -> Mapping[int, dict[str, Any]]:
    """`jobs`: of each execution. Spans of other systems may have the number of one, and another job."""
    told: dict[int, dict[str, Any]] = defaultdict(dict)
    executions = list(jobs)
    for start in range(0, len(executions), IDS_AT_ONCE):
        some = executions[start : start + IDS_AT_ONCE]
        spans = Span.objects.filter(execution_id__in=some, operation__in=OPERATIONS)
        # The program's own span comes behind that of the run: the node of a cluster is told by it, else it is the worker's.
        found = spans.order_by("pk").values_list("execution_id", "job_id", "region", "metadata")
        for execution, job, region, metadata in found:
            if execution is not None and jobs[execution] == job:
                told[execution] |= _of_span(region, metadata)
    return told


def _of_span(region: str | None, metadata: Any) -> dict[str, Any]:
    own = metadata.get("attributes") if isinstance(metadata, dict) else None
    own = own if isinstance(own, dict) else {}
    found = {name: next((own[key] for key in keys if key in own), None) for name, keys in OF_SPANS.items()}
    return {name: value for name, value in {**found, "region": region}.items() if value not in (None, "")}


def _texts(facts: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value)[:ATTRIBUTE_CHARACTERS] for name, value in facts.items()}
