from __future__ import annotations

from datetime import UTC, datetime, timedelta

from jobs.timeline import Happened, phases_of

START = datetime(2030, 1, 1, tzinfo=UTC)
RUN = [("submitted", 0, 0), ("assigned", 1, 0), ("attempt_assigned", 1, 1), ("starting", 2, 1), ("image_pulling", 3, 1)]


def lived(*events: tuple[str, float, int], now: float = 100) -> list[tuple[str, float, float, int, str]]:
    """(name, start, end, depth, status) of each phase, in seconds."""
    happened = [Happened(kind, START + timedelta(seconds=at), attempt) for kind, at, attempt in events]
    found = phases_of(happened, START + timedelta(seconds=now))
    return [
        (p.name, (p.start - START).total_seconds(), (p.end - START).total_seconds(), p.depth, p.status) for p in found
    ]


def test_a_run_has_all_its_phases() -> None:
    ended = [("attempt_succeeded", 9, 1), ("succeeded", 9, 0), ("removed", 10, 1)]
    assert lived(*RUN, ("attempt_running", 5, 1), ("running", 5, 0), *ended) == [
        ("waiting", 0, 1, 0, "ok"),
        ("assigning", 1, 2, 0, "ok"),
        ("starting", 2, 5, 0, "ok"),
        ("pulling", 3, 5, 1, "ok"),
        ("running", 5, 9, 0, "ok"),
        ("finishing", 9, 10, 0, "ok"),
    ]


def test_what_is_under_way_ends_now() -> None:
    assert lived(*RUN, ("attempt_running", 5, 1), now=7)[-1] == ("running", 5, 7, 0, "open")


def test_a_failed_pull_ends_with_its_attempt() -> None:
    phases = lived(*RUN, ("attempt_failed", 4, 1), ("failed", 4, 0))
    assert ("starting", 2, 4, 0, "failed") in phases
    assert ("pulling", 3, 4, 1, "failed") in phases


def test_the_wait_for_a_retry_and_the_second_attempt_follow() -> None:
    first = [*RUN, ("attempt_running", 5, 1), ("attempt_failed", 6, 1), ("queued", 6, 0), ("removed", 7, 1)]
    phases = lived(*first, ("assigned", 11, 0), ("attempt_assigned", 11, 2), ("starting", 12, 2), now=13)
    assert [name for name, *_ in phases[-4:]] == ["finishing", "waiting", "assigning #2", "starting #2"]
    assert ("waiting", 6, 11, 0, "ok") in phases


def test_a_job_cancelled_while_it_waited_has_only_waited() -> None:
    assert lived(("submitted", 0, 0), ("cancel_requested", 2, 0), ("cancelled", 2, 0)) == [
        ("waiting", 0, 2, 0, "cancelled")
    ]
