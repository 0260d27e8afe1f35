"""Spans reach the table as they are, in time, once each; and whatever happens to the table, who traces notices nothing."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from tests.stack import eventually
from tracing import models
from tracing.models import Span, Status
from tracing.writer import Writer

from .tracing_cast import closed, opened, row_of

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def writer() -> Iterator[Writer]:
    made = Writer("test")
    yield made
    made.stop()


def rows() -> list[dict[str, Any]]:
    return list(Span.objects.order_by("id").values())


def test_every_column_is_filled(writer: Writer) -> None:
    record = closed(status=Status.FAILED, error_type="oom", error_message="too much")
    writer.put(record)
    assert writer.settle()
    row = row_of(record)
    assert (row.trace_id.int, row.span_id.int) == record.key
    assert row.parent_span_id is not None and row.parent_span_id.int == record.parent_span_id
    assert row.started_at == datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=record.started_ns // 1000)
    assert row.completed_at is not None and row.completed_at - row.started_at == timedelta(milliseconds=12)
    same = "service operation duration_ms status job_id execution_id model_id region metadata error_message error_type"
    assert [getattr(row, name) for name in same.split()] == [getattr(record, name) for name in same.split()]
    assert abs(row.created_at - datetime.now(UTC)) < timedelta(seconds=10)


def test_it_is_seen_while_it_goes_on_and_its_end_ends_the_same_row(writer: Writer) -> None:
    begun = opened()
    began = time.monotonic()
    writer.put(begun)
    eventually(Span.objects.exists, 5)
    took = time.monotonic() - began
    row = row_of(begun)
    assert (row.status, row.completed_at, row.duration_ms) == ("started", None, None)
    assert row.metadata == {**begun.metadata, "writer": str(writer.id)}
    writer.put(closed(begun, operation="pull again"))
    assert writer.settle()
    ended = row_of(begun)
    assert (ended.pk, ended.created_at, ended.operation) == (row.pk, row.created_at, "pull again")
    assert (ended.status, ended.metadata) == ("completed", begun.metadata)
    assert took < 2, f"{took:.2f} s until it could be seen"


def test_one_that_opens_and_closes_at_once_is_one_row(writer: Writer) -> None:
    records = [opened() for _ in range(50)]
    for record in records:
        writer.put(record)
        writer.put(closed(record))
    assert writer.settle()
    assert {row["status"] for row in rows()} == {"completed"}
    assert (len(rows()), writer.written, writer.dropped) == (50, 50, 0)


def test_two_processes_write_one_row_of_what_they_share() -> None:
    """One opens, another closes; in either order, and both at once."""
    one, other = Writer("one"), Writer("other")
    records = [opened(shared=True, trace_id=n // 5 + 1) for n in range(40)]
    for n, record in enumerate(records):
        first, second = (one.put, other.put) if n % 2 else (other.put, one.put)
        first(record)
        second(closed(record))
    one.stop()
    other.stop()
    assert len(rows()) == 40
    assert {row["status"] for row in rows()} == {"completed"}


def test_a_late_beginning_does_not_open_it_again(writer: Writer) -> None:
    record = opened(shared=True)
    writer.put(closed(record))
    assert writer.settle()
    writer.put(record)
    assert writer.settle()
    assert row_of(record).status == "completed"


def test_an_end_whose_beginning_never_came_is_written(writer: Writer) -> None:
    for record in (closed(), closed(shared=True)):
        writer.put(record)
        assert writer.settle()
        assert row_of(record).status == "completed"


def test_what_is_sent_twice_is_there_once(writer: Writer) -> None:
    record = closed(shared=True)
    for _ in range(3):
        writer.put(record)
        assert writer.settle()
    assert len(rows()) == 1


def test_two_that_write_the_same_at_the_same_moment_make_one_row_of_it() -> None:
    at_once = threading.Barrier(2)

    def write(held: Held) -> None:
        at_once.wait()
        held._write_all()
        connection.close()

    for n in range(8):
        begun = [opened(shared=True, trace_id=n + 1) for _ in range(200)]
        one, other = Held("one"), Held("other")
        for record in begun:
            one.put(record)
            other.put(closed(record))
        threads = [threading.Thread(target=write, args=(held,)) for held in (one, other)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert (len(rows()), {row["status"] for row in rows()}) == (1600, {"completed"})


# --- no room ----------------------------------------------------------------------------------------------------------


class Held(Writer):
    """Writes only when it is told to."""

    def start(self) -> None:
        pass


def test_what_finds_no_room_is_counted_and_the_end_of_what_began_always_has_some() -> None:
    held = Held("test", most=10)
    begun = [opened() for _ in range(5)]
    for record in begun:
        held.put(record)
    for _ in range(20):
        held.put(closed())
    late = opened()
    held.put(late)
    held.put(closed(late))
    for record in begun:
        held.put(closed(record))
    assert (held.waiting, held.dropped) == (10 + 5, 15 + 2)
    assert held._write_all()
    assert {row["status"] for row in rows()} == {"completed"}
    assert len(rows()) == 10


def test_putting_costs_next_to_nothing() -> None:
    held = Held("test", most=10_000)
    records = [closed() for _ in range(10_000)]
    best = float("inf")
    for _ in range(3):
        held._waiting.clear()
        began = time.perf_counter()
        for record in records:
            held.put(record)
        best = min(best, time.perf_counter() - began)
    assert best / len(records) < 20e-6


def test_many_threads_may_put_at_once(writer: Writer) -> None:
    def work() -> None:
        for _ in range(100):
            record = opened()
            writer.put(record)
            writer.put(closed(record))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert writer.settle(20)
    assert (len(rows()), writer.written, writer.dropped) == (800, 800, 0)


# --- a table that takes nothing ---------------------------------------------------------------------------------------


def rename(before: str, after: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {before} RENAME TO {after}")


def test_a_table_that_is_gone_is_told_once_and_what_waits_is_written_when_it_is_back(
    writer: Writer, caplog: pytest.LogCaptureFixture
) -> None:
    begun = opened()
    writer.put(begun)
    assert writer.settle()
    rename("trace_spans", "trace_spans_gone")
    try:
        with caplog.at_level(logging.WARNING, "tracing"):
            writer.put(closed(begun))
            eventually(lambda: writer.trouble, 10)
            for _ in range(20):
                writer.put(closed())
    finally:
        rename("trace_spans_gone", "trace_spans")
    with caplog.at_level(logging.WARNING, "tracing"):
        assert writer.settle(20)
    assert (len(rows()), writer.dropped, writer.trouble) == (21, 0, None)
    assert {row["status"] for row in rows()} == {"completed"}
    told = [record.getMessage() for record in caplog.records if record.name == "tracing.writer"]
    assert [text.split(",")[0].split(";")[0] for text in told] == ["spans wait", "spans are written again"]


def test_ending_does_not_wait_long_for_a_table_that_is_gone() -> None:
    made = Writer("test")
    rename("trace_spans", "trace_spans_gone")
    try:
        made.put(closed())
        eventually(lambda: made.trouble, 10)
        began = time.monotonic()
        made.stop(2)
        assert time.monotonic() - began < 3
    finally:
        rename("trace_spans_gone", "trace_spans")


def test_a_batch_of_which_nobody_knows_whether_it_was_written_is_not_written_twice(writer: Writer) -> None:
    """As when the connection breaks while it is committed."""
    records = [closed(), opened(), closed(shared=True)]
    held = Held("test")
    for _ in range(2):
        for record in records:
            held.put(record)
        assert held._write_all()
        held._in_doubt = True
    assert len(rows()) == 3


# --- values that no database takes ------------------------------------------------------------------------------------


def nested(deep: int) -> dict[str, Any]:
    return {"a": nested(deep - 1)} if deep else {}


BAD: dict[str, dict[str, Any]] = {
    "nul": {"operation": "a\x00b", "error_message": "\x00", "metadata": {"attributes": {"k\x00": ["\x00"]}}},
    "surrogate": {"service": "\ud800x", "job_id": "\udfff", "metadata": {"attributes": {"\ud800": "\udfff"}}},
    "no number": {"metadata": {"attributes": {"nan": float("nan"), "inf": float("inf"), "big": 10**400}}},
    "long": {
        "service": "s" * 999,
        "operation": "ö" * 999,
        "job_id": "j" * 999,
        "error_type": "e" * 999,
        "region": "r" * 99,
    },
    "huge": {"metadata": {"attributes": {str(n): "x" * 10_000 for n in range(100)}}, "error_message": "m" * 10**6},
    "deep": {"metadata": nested(90)},
    "odd": {"metadata": {"attributes": {"set": {1}, "bytes": b"\xff", 3: object()}}},
    "before 1970": {"started_ns": -(10**18), "ended_ns": -1},
    "after 9999": {"started_ns": 0, "ended_ns": 2**64 - 1},
    "backwards": {"started_ns": 10**18, "ended_ns": 5},
    "whole": {"execution_id": 2**80, "trace_id": 2**200 + 1, "span_id": 2**99 + 1, "parent_span_id": 2**70 + 5},
}


@pytest.mark.parametrize("name", BAD)
def test_values_that_no_database_takes_are_made_ones_that_it_does(writer: Writer, name: str) -> None:
    good, bad = [closed() for _ in range(3)], closed()
    vars(bad).update(BAD[name])
    begun = opened()
    vars(begun).update({key: value for key, value in BAD[name].items() if key not in ("ended_ns", "span_id")})
    for record in (*good[:2], bad, begun, good[2]):
        writer.put(record)
    assert writer.settle()
    assert (len(rows()), writer.dropped) == (5, 0)
    for row in rows():
        assert row["metadata"] is None or isinstance(row["metadata"], dict)
        assert row["completed_at"] is None or row["completed_at"] >= row["started_at"]


def test_of_a_batch_that_is_not_taken_only_the_culprit_goes(writer: Writer, caplog: pytest.LogCaptureFixture) -> None:
    good, bad = [closed() for _ in range(100)], closed()
    bad.metadata = 3  # type: ignore[assignment]
    bad.service = None  # type: ignore[assignment]
    for record in (*good[:70], bad, *good[70:]):
        writer.put(record)
    assert writer.settle()
    assert (len(rows()), writer.dropped, writer.trouble) == (100, 1, None)
    assert [record.getMessage().split(":")[0] for record in caplog.records if record.name == "tracing.writer"] == [
        "the span None pull is dropped, and others may be"
    ]


# --- who writes -------------------------------------------------------------------------------------------------------


def test_a_process_says_that_it_writes_only_once_it_does_and_when_it_ends_in_order() -> None:
    idle, made = Writer("idle"), Writer("busy")
    idle.start()
    made.put(closed())
    assert made.settle()
    row = models.Writer.objects.get()
    assert (row.pk, row.process.split()[0], row.stopped_at) == (made.id, "busy", None)
    made.put(closed())
    made.stop()
    idle.stop()
    row = models.Writer.objects.get()
    assert (row.written, row.dropped) == (2, 0)
    assert row.stopped_at is not None and row.stopped_at >= row.started_at


def test_one_that_ends_with_something_open_does_not_say_that_it_ended_in_order() -> None:
    made = Writer("test")
    made.put(opened())
    made.stop()
    assert models.Writer.objects.get().stopped_at is None


def test_a_fork_has_a_writer_of_its_own(writer: Writer) -> None:
    held = Held("test")
    held.put(closed())
    begun = held.id
    child = os.fork()
    if not child:
        os._exit(0 if held.waiting == 0 and held.id != begun and held._thread is None else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert (held.waiting, held.id) == (1, begun)
