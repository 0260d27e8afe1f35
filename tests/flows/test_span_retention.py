"""Spans go by age, in any order of interruptions; and what is still being written is left alone."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.models import F

from towline.celery import app
from tracing.columns import values_of
from tracing.models import Span, Writer
from tracing.retention import drop_some, retention_round, what_is_due
from tracing.table import write

from .tracing_cast import closed

KEPT = 30


@pytest.fixture(autouse=True)
def _days(settings: Any) -> None:
    keep(settings, KEPT)


def keep(settings: Any, days: int) -> None:
    settings.TOWLINE = settings.TOWLINE.model_copy(update={"TOWLINE_TRACE_KEEP_DAYS": days})


def stored(days_ago: float, count: int = 1) -> set[int]:
    before = set(Span.objects.values_list("pk", flat=True))
    write([values_of(closed()) for _ in range(count)])
    made = Span.objects.exclude(pk__in=before)
    ids = set(made.values_list("pk", flat=True))
    made.update(created_at=F("created_at") - timedelta(days=days_ago))
    return ids


def left() -> set[int]:
    return set(Span.objects.values_list("pk", flat=True))


def test_what_is_older_than_that_goes_and_the_rest_stays() -> None:
    stored(KEPT + 1, 3)
    kept = stored(KEPT - 1, 3)
    assert (what_is_due().spans, len(left())) == (3, 6)
    did = retention_round()
    assert (did.spans, left()) == (3, kept)
    assert did.oldest is not None and did.oldest < datetime.now(UTC) - timedelta(days=KEPT)
    assert retention_round().spans == 0


def test_zero_days_are_for_ever(settings: Any) -> None:
    keep(settings, 0)
    stored(30_000)
    assert (what_is_due().spans, retention_round().spans, len(left())) == (0, 0, 1)


def test_batches_are_bounded_and_the_oldest_go_first() -> None:
    younger, older = stored(KEPT + 1, 4), stored(KEPT + 2, 5)
    assert drop_some(KEPT, 5) == 5
    assert left() == younger, "killed here, the next round goes on"
    heard: list[int] = []
    retention_round(heard.append)
    assert (heard, left(), older & left()) == ([4], set(), set())


def test_writers_go_when_they_ended_and_not_before_and_what_they_wrote_counts_on() -> None:
    long_ago = datetime.now(UTC) - timedelta(days=KEPT + 1)
    for name, stopped in (("ended", long_ago), ("killed", None)):
        Writer.objects.create(id=uuid4(), process=name, seen_at=long_ago, stopped_at=stopped, written=3)
    Writer.objects.create(id=uuid4(), process="young", stopped_at=datetime.now(UTC))
    retention_round()
    assert dict(Writer.objects.values_list("process", "written")) == {"earlier": 3, "killed": 3, "young": 0}


@pytest.mark.django_db(transaction=True)
def test_two_at_once_remove_each_once() -> None:
    stored(KEPT + 1, 300)
    kept = stored(1, 5)
    at_once, counted = threading.Barrier(2), []

    def run() -> None:
        at_once.wait()
        while dropped := drop_some(KEPT, 20):
            counted.append(dropped)
        connection.close()

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counted.append(retention_round().spans)
    assert (sum(counted), left()) == (300, kept)


def test_beat_has_it_done() -> None:
    stored(KEPT + 1)
    app.loader.import_default_modules()
    app.tasks["workers.retention"]()
    assert not left()


def test_the_command_says_how_many_go_and_a_dry_run_keeps_them(capsys: Any) -> None:
    stored(KEPT + 1, 2)
    call_command("retention", dry_run=True)
    assert "2 spans of more than 30 days would go, the oldest of " in capsys.readouterr().out
    call_command("retention", as_json=True)
    assert (json.loads(capsys.readouterr().out)["spans"], left()) == (2, set())
