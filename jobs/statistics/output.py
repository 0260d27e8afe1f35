"""How much jobs wrote, and how much room that takes.

Output counts for the window if its attempt ended in it or is still under way. Room is of all logs that are there,
whenever they were written.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from django.db.models import Q, QuerySet, Sum

from jobs.logs.sizes import chunk_bytes
from jobs.models import Attempt, Job, LogChunk, Project

from .window import Window

NOISIEST = 10


def output(attempts: QuerySet[Attempt], within: Window) -> dict[str, Any]:
    """`{lines, bytes, kept_bytes, projects: [{project, lines, bytes, kept_bytes}], noisiest: [...]}`, the most first."""
    wrote = attempts.filter(Q(finished_at__gte=within.since) | Q(finished_at=None)).order_by()
    projects = _by_project(attempts, wrote)
    return {
        **{key: sum(row[key] for row in projects) for key in ("lines", "bytes", "kept_bytes")},
        "projects": projects,
        "noisiest": _noisiest(wrote),
    }


def _by_project(attempts: QuerySet[Attempt], wrote: QuerySet[Attempt]) -> list[dict[str, Any]]:
    said = wrote.values_list("job__project").annotate(lines=Sum("log_lines"), bytes=Sum("log_bytes"))
    written = {project: (lines, size) for project, lines, size in said}
    kept = _kept(attempts)
    names = dict(Project.objects.filter(pk__in={*written, *kept}).values_list("pk", "name"))
    rows = [
        {
            "project": name,
            "lines": int(written.get(pk, (0, 0))[0]),
            "bytes": int(written.get(pk, (0, 0))[1]),
            "kept_bytes": int(kept.get(pk, 0)),
        }
        for pk, name in names.items()
    ]
    return sorted(rows, key=lambda row: (-row["bytes"], -row["kept_bytes"], row["project"]))


def _kept(attempts: QuerySet[Attempt]) -> Counter[int]:
    """By project: what is packed, and the chunks of what is not yet, of which there are few."""
    there = attempts.filter(log_dropped_at=None).order_by()
    packed = there.values_list("job__project").annotate(size=Sum("log_object_bytes"))
    chunks = LogChunk.objects.filter(attempt__in=there.values("pk")).order_by().values_list("attempt__job__project")
    return Counter(dict(packed)) + Counter(dict(chunks.annotate(size=Sum(chunk_bytes()))))


def _noisiest(wrote: QuerySet[Attempt]) -> list[dict[str, Any]]:
    said = wrote.values_list("job").annotate(lines=Sum("log_lines"), bytes=Sum("log_bytes"))
    most = {pk: (lines, size) for pk, lines, size in said.filter(bytes__gt=0).order_by("-bytes", "job")[:NOISIEST]}
    names = {pk: rest for pk, *rest in Job.objects.filter(pk__in=most).values_list("pk", "name", "project__name")}
    return [
        {"id": str(pk), "name": names[pk][0], "project": names[pk][1], "lines": int(lines), "bytes": int(size)}
        for pk, (lines, size) in most.items()
        if pk in names
    ]
