"""The figures as the admin's page shows them: columns and bars to scale."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jobs.models import Project
from jobs.overview import Piece, stack

from .ends import ENDS
from .figures import figures
from .window import DEFAULT, window

CHOICES = ("1h", "24h", "3d", "7d", "30d", "366d")
PROJECTS_MOST = 30
PERCENTILES = ("p50", "p90", "p95", "p99", "max")


@dataclass(frozen=True)
class Ended:
    """One hour's or day's column, `x` from 0 on."""

    x: int
    at: datetime
    jobs: int
    pieces: tuple[Piece, ...]


def statistics_shown(asked: str | None) -> dict[str, Any]:
    """What the template needs. What is no window is said, and the default shown."""
    complaint = ""
    try:
        within = window(asked or DEFAULT)
    except ValueError as error:
        complaint, asked, within = f"window: {error}", None, window()
    found = figures(within)
    columns = _columns(found["throughput"]["buckets"])
    logs = found["logs"]
    return {
        "complaint": complaint,
        "chosen": asked or DEFAULT,
        "choices": CHOICES,
        "figures": found,
        "columns": columns,
        "most_in_a_column": max((column.jobs for column in columns), default=0),
        "hourly": found["throughput"]["bucket_seconds"] == 3600,
        "verdicts": [{"code": code, "jobs": jobs} for code, jobs in found["verdicts"].items()],
        "verdicts_most": max(found["verdicts"].values(), default=1),
        "reasons": [{"reason": reason, "jobs": jobs} for reason, jobs in found["queue"]["by_reason"].items()],
        "times": [(kind, [found[f"{kind}_seconds"][name] for name in PERCENTILES]) for kind in ("wait", "run")],
        "percentiles": PERCENTILES,
        "projects": _with_keys(logs["projects"][:PROJECTS_MOST]),
        "projects_left_out": max(0, len(logs["projects"]) - PROJECTS_MOST),
        "projects_most": max((row["bytes"] for row in logs["projects"]), default=0) or 1,
        "noisiest_most": max((row["bytes"] for row in logs["noisiest"]), default=0) or 1,
    }


def _with_keys(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """For links to their jobs."""
    keys = dict(Project.objects.filter(name__in=[row["project"] for row in rows]).values_list("name", "pk"))
    return [{**row, "pk": keys.get(row["project"])} for row in rows]


def _columns(buckets: list[dict[str, Any]]) -> list[Ended]:
    counts = [{state: bucket[state] for state in ENDS} for bucket in buckets]
    most = max((sum(each.values()) for each in counts), default=0) or 1
    return [
        Ended(x, bucket["at"], sum(each.values()), tuple(stack(each, most)))
        for x, (bucket, each) in enumerate(zip(buckets, counts, strict=True))
    ]
