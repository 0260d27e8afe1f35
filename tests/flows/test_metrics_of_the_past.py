"""Counters and histograms: exact, the same from every process, never falling, and with traces as exemplars."""

from __future__ import annotations

import uuid
from datetime import timedelta

from django.db.models import F, Sum
from django.test import Client
from django.utils import timezone
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as plain
from prometheus_client.samples import Sample

from jobs.models import Attempt, Event, Job
from jobs.services import cancel, retry
from jobs.states import AttemptState
from towline.metrics.attempts import Ended
from towline.metrics.happenings import Happenings
from towline.metrics.settled import Budget
from tracing.identity import Parent
from tracing.models import Writer
from workers.ending import Ending, finish

from .conftest import make_attempt, make_job, make_worker
from .ended import FAILED, ended

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


ENOUGH = 60.0  # seconds: here it is not the time that is looked at


def samples(accept: str = "") -> list[Sample]:
    """Of a process that has caught up: on a busy machine a scrape may not come to its end in its time."""
    for _ in range(20):
        answer = Client().get("/metrics", headers={"accept": accept})
        if b"towline_jobs_submitted" in answer.content and b"towline_job_run_seconds" in answer.content:
            break
    parse = openmetrics if answer["Content-Type"].startswith("application/openmetrics-text") else plain
    return [sample for family in parse(answer.content.decode()) for sample in family.samples]


def told() -> dict[tuple[str, ...], float]:
    return {(sample.name, *sample.labels.values()): sample.value for sample in samples()}


def since(before: dict[tuple[str, ...], float]) -> dict[tuple[str, ...], float]:
    """What has changed of what only grows."""
    grown = {key: value - before.get(key, 0) for key, value in told().items()}
    return {key: value for key, value in grown.items() if value and key[0].endswith(("_total", "_count"))}


def finished(state: str, verdict: str = "") -> tuple[str, ...]:
    return ("towline_jobs_finished_total", state, verdict)


def grow_old(hours: int = 24) -> None:
    """What has just happened was so long ago."""
    now = timezone.now()
    late, ago = now - timedelta(minutes=5), now - timedelta(hours=hours)
    Event.objects.filter(created_at__gt=late).update(created_at=ago)
    Attempt.objects.filter(finished_at__gt=late).update(finished_at=ago)


def test_three_jobs_are_three_more() -> None:
    make_worker(slots=9)
    before = told()
    ended(lines=2)
    ended(lines=5, failed=True)
    cancel(make_job(run_at=(timezone.now() + timedelta(hours=1)).isoformat()), "alice")
    grown = since(before)
    assert grown.pop(("towline_log_bytes_total",)) > 0
    assert grown.pop(("towline_worker_events_processed_total",)) == Event.objects.exclude(attempt=None).count() > 0
    assert grown == {
        ("towline_jobs_submitted_total",): 3,
        finished("succeeded"): 1,
        finished("failed", "exit_code"): 1,
        finished("cancelled", "cancelled"): 1,
        ("towline_job_wait_seconds_count",): 2,
        ("towline_job_run_seconds_count",): 2,
        ("towline_job_overhead_seconds_count",): 2,
        ("towline_log_lines_total",): 7,
        ("towline_log_delivery_seconds_count",): 7,
    }


def test_a_lost_attempt_is_counted_and_its_job_by_its_verdict() -> None:
    before, attempt = told(), make_attempt()
    assert finish(attempt, attempt.fence, Ending(AttemptState.LOST, None, FAILED))
    assert since(before)["towline_attempts_lost_total",] == 1


def test_trying_again_by_hand_takes_nothing_back() -> None:
    attempt = ended(lines=2, failed=True)
    before = told()
    retry(attempt.job, "alice")
    assert Job.objects.get(pk=attempt.job_id).verdict_code == ""
    after = told()
    grows = [key for key in before if key[0].endswith(("_total", "_count", "_bucket", "_sum"))]
    assert [key for key in grows if after[key] < before[key]] == []
    assert after[finished("failed", "exit_code")] == before[finished("failed", "exit_code")] > 0


def test_who_has_counted_for_long_and_who_begins_now_tell_the_same() -> None:
    make_worker(slots=9)
    happenings, attempts = Happenings(batch=2), Ended(batch=1)
    for round_of in range(3):
        ended(lines=2 + round_of, failed=round_of == 1)
        grow_old(hours=24 - round_of)
        ended(lines=1)
        assert happenings.counts(Budget(ENOUGH)) == Happenings().counts(Budget(ENOUGH))
        attempts_told = [family.samples for family in attempts.families(Budget(ENOUGH))]
        assert attempts_told == [family.samples for family in Ended().families(Budget(ENOUGH))]
        assert [sample.value for samples in attempts_told for sample in samples if sample.name.endswith("_count")] == [
            *[2 * round_of + 2] * 3,
            Attempt.objects.aggregate(lines=Sum("log_lines"))["lines"],
        ]
    counts = happenings.counts(Budget(ENOUGH))
    assert counts is not None
    assert (counts["submitted", ""], counts["succeeded", ""], counts["failed", "exit_code"]) == (6, 5, 1)


def test_until_a_process_has_caught_up_it_tells_nothing_of_the_past() -> None:
    make_worker(slots=9)
    for _ in range(3):
        ended()
    grow_old()
    happenings, attempts, none = Happenings(batch=5), Ended(batch=1), Budget(0)
    assert (list(happenings.families(none)), list(attempts.families(none))) == ([], [])
    caught_up = {tuple(bool(list(each.families(none))) for each in (happenings, attempts)) for _ in range(40)}
    assert (True, True) in caught_up
    assert happenings.counts(none) == Happenings().counts(Budget(ENOUGH))


def test_ends_of_before_are_counted_by_the_verdict_of_their_job() -> None:
    ended(failed=True)
    Event.objects.filter(attempt=None).update(data={})
    counts = Happenings().counts(Budget(ENOUGH))
    assert counts is not None
    assert counts["failed", "exit_code"] == 1


def test_buckets_have_the_newest_trace_as_their_exemplar() -> None:
    make_worker(slots=9)
    for number in (1, 2):
        attempt = ended()
        Job.objects.filter(pk=attempt.job_id).update(traceparent=str(Parent(number, 7)))
        end = timezone.now() + timedelta(seconds=number)
        Attempt.objects.filter(pk=attempt.pk).update(started_at=F("created_at"), finished_at=end)
    found = [sample for sample in samples(OPENMETRICS) if sample.name == "towline_job_overhead_seconds_bucket"]
    assert [sample.exemplar.labels for sample in found if sample.exemplar] == [{"trace_id": f"{2:032x}"}]
    assert all(sample.exemplar is None for sample in samples())


def test_what_is_not_traced_is_no_exemplar() -> None:
    attempt = ended()
    Job.objects.filter(pk=attempt.job_id).update(traceparent=str(Parent(1, 7, sampled=False)))
    assert not any(sample.exemplar for sample in samples(OPENMETRICS))


def test_spans_are_those_of_all_writers_there_ever_were() -> None:
    for written, dropped in ((5, 0), (7, 2)):
        Writer.objects.create(id=uuid.uuid4(), process="run one 1", written=written, dropped=dropped)
    found = told()
    assert (found["towline_spans_written_total",], found["towline_spans_dropped_total",]) == (12, 2)
