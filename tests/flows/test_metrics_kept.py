"""A web process that begins tells at once what others have summed up, and of strays what the database knows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from jobs.clock import Now
from jobs.logs.store import append, position
from jobs.models import Attempt, Event, Installation, installation_key
from towline.metrics.attempts import Ended
from towline.metrics.happenings import Happenings
from towline.metrics.kept import FORM
from towline.metrics.settled import Budget
from workers.drivers.process.driver import ProcessDriver
from workers.drivers.protocol import LABEL_ATTEMPT, LABEL_INSTALLATION, LABEL_JOB, Handle, Observation, Phase
from workers.models import Worker
from workers.sweeping import sweep_and_note

from .conftest import ENGINE, make_attempt, make_worker
from .ended import ended

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
AT_ONCE = Budget(0)


@pytest.fixture
def past() -> None:
    """Six jobs that ended long ago, one each minute."""
    make_worker(slots=9)
    for minutes in range(6):
        attempt, at = ended(lines=1), LONG_AGO + timedelta(minutes=minutes)
        Event.objects.filter(job=attempt.job_id).update(created_at=at)
        Attempt.objects.filter(pk=attempt.pk).update(finished_at=at, log_sealed_at=at)


def sampled(name: str) -> float:
    families = text_string_to_metric_families(Client().get("/metrics").content.decode())
    return next(sample.value for family in families for sample in family.samples if sample.name == name)


@pytest.mark.usefixtures("past")
@pytest.mark.parametrize("make", [lambda: Happenings(batch=8), lambda: Ended(batch=1)], ids=["happenings", "ended"])
def test_who_begins_goes_on_where_others_came_to(make: Callable[[], Happenings | Ended]) -> None:
    first, rounds = make(), 1
    while not list(first.families(AT_ONCE)):
        rounds += 1
    assert rounds > 2
    second = make()
    assert [family.samples for family in second.families(AT_ONCE)] == [each.samples for each in first.families(AT_ONCE)]


@pytest.mark.usefixtures("past")
@pytest.mark.parametrize(
    "sums",
    [
        None,
        {"form": FORM - 1, "happenings": {"upto": 10**9, "counts": []}, "attempts": {"upto": "2099"}},
        {
            "form": FORM,
            "happenings": {"shape": ["old"], "upto": 10**9, "counts": []},
            "attempts": {"shape": {}, "upto": "2099"},
        },
    ],
    ids=["none", "another", "other kinds and bounds"],
)
def test_sums_of_another_form_are_summed_anew(sums: object) -> None:
    Installation.objects.update(sums=sums)
    counts = Happenings().counts(Budget(60))
    assert counts is not None
    assert counts["submitted", ""] == 6
    told = {family.name: family.samples for family in Ended().families(Budget(60))}
    assert [sample.value for sample in told["towline_log_lines"]] == [6]


@pytest.mark.usefixtures("past")
def test_sums_that_reach_beyond_now_as_the_clock_was_set_back_are_summed_anew() -> None:
    while not list(Ended(batch=1).families(AT_ONCE)):
        pass
    kept = Installation.objects.get().sums
    kept["attempts"]["upto"] = str(datetime.now(UTC) + timedelta(days=1))
    Installation.objects.update(sums=kept)
    told = {family.name: family.samples for family in Ended().families(Budget(60))}
    assert [sample.value for sample in told["towline_log_lines"]] == [6]


def test_lines_are_counted_by_how_late_they_were_stored() -> None:
    attempt, now = make_attempt(), time.time_ns()
    block = [
        (b"late\n", "stdout", now - 20 * 10**9),
        (b"in time\n", "stdout", now + 3600 * 10**9),
    ]  # by a clock that is ahead
    append(attempt, attempt.fence, position(attempt), block, "c")
    families = {
        family.name: family for family in text_string_to_metric_families(Client().get("/metrics").content.decode())
    }
    delays = families["towline_log_delivery_seconds"]
    upto = {sample.labels.get("le"): sample.value for sample in delays.samples if sample.name.endswith("_bucket")}
    assert (delays.type, upto["1"], upto["10"], upto["300"], upto["+Inf"]) == ("histogram", 1, 1, 2, 2)


def test_what_was_counted_of_a_log_goes_with_the_attempt_to_whoever_adopts_it() -> None:
    attempt, now = make_attempt(), time.time_ns()
    append(attempt, attempt.fence, position(attempt), [(b"a\n", "stdout", now)], "c")
    adopted = Attempt.objects.get(pk=attempt.pk)
    append(adopted, adopted.fence, position(adopted), [(b"b\n", "stdout", now)], "d")
    assert sum(Attempt.objects.get(pk=attempt.pk).log_delays[:-1]) == 2


def test_a_container_that_is_left_is_a_stray_once_its_removal_is_overdue() -> None:
    attempt = ended()
    late = Attempt.objects.filter(pk=attempt.pk)
    late.update(claimed_at=Now(), finished_at=Now())
    assert sampled("towline_containers_stray") == 0
    late.update(finished_at=Now() - timedelta(minutes=2))
    assert sampled("towline_containers_stray") == 1
    late.update(removed_at=Now())
    assert sampled("towline_containers_stray") == 0


def test_of_an_engine_that_nobody_reaches_nobody_can_say() -> None:
    attempt = ended()
    Attempt.objects.filter(pk=attempt.pk).update(claimed_at=Now(), finished_at=Now() - timedelta(minutes=2))
    Worker.objects.update(stopped_at=Now())
    assert sampled("towline_containers_stray") == 0


class Crowded(ProcessDriver):
    """An engine with so many containers of ours that nobody knows."""

    crowd = 0

    def survey(self, installation: str) -> Iterator[Observation]:
        for number in range(self.crowd):
            labels = {LABEL_INSTALLATION: installation_key(), LABEL_JOB: f"{number}", LABEL_ATTEMPT: "1"}
            handle = Handle("process", f"nobody-{number}", f"{number}", "here")
            yield Observation(handle, Phase.RUNNING, labels=labels, created_at=LONG_AGO)


def test_strays_that_a_sweep_leaves_are_told_until_one_leaves_none(tmp_path: Path) -> None:
    engines = [{**ENGINE, "name": "process"}]
    here, beside = make_worker(engines=engines), make_worker("run@two", engines=engines)
    driver = Crowded(tmp_path)
    driver.crowd = 25
    for worker in (here, beside):  # both see the same ones
        sweep_and_note(worker.name, worker.boot, "process", driver)
    assert sampled("towline_containers_stray") == 25
    driver.crowd = 0
    for worker in (here, beside):
        sweep_and_note(worker.name, worker.boot, "process", driver)
    assert sampled("towline_containers_stray") == 0
