"""A collector is given exactly what the table has; which spans there are is said by sampler and switches, for both alike."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from opentelemetry.trace import SpanKind

from tests.otlp_receiver import Receiver, in_table, otlp_receiver
from tests.stack import eventually
from tracing import running, spans
from tracing.identity import as_uuid, span_id_of
from tracing.models import Span, Status
from tracing.services import CONTROL, ENGINE, JOB, WEB, WORKER
from tracing.spans import Life, Subject

from .tracing_cast import closed

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with otlp_receiver() as made:
        yield made


@pytest.fixture
def traced(settings: Any) -> Iterator[Any]:
    """Tracing as a process has it; called with settings."""

    def begin(**said: Any) -> None:
        settings.TOWLINE = settings.TOWLINE.model_copy(update={"ENABLE_DB_TRACING": True, **said})
        running.begin("test")

    yield begin
    running.end()


def a_job(fail: str = "") -> UUID | None:
    """Something like one, with all that the house does with spans. Answers its trace."""
    subject = Subject("0190-job", 7, "bert", "eu")
    with spans.span("POST jobs", WEB, root=True, kind=SpanKind.SERVER, http__status_code=201):
        here = spans.here()
    if here is None:
        return None
    now = datetime.now(UTC)
    life = Life(here, span_id_of("job", now), "job", JOB, Subject("0190-job"), now, {"name": "x", "priority": 3})
    spans.opened(life)
    with spans.under(here.at(life.span_id), subject), spans.span("run", WORKER, kind=SpanKind.CONSUMER):
        with spans.span("place", CONTROL), spans.span("pull", ENGINE, cache_hit=False, bytes=12.5) as doing:
            doing.event("layer", digest="sha256:1", size=5)
            if fail:
                doing.fail("image", "no such image: ö", Status.TIMEOUT)
        with spans.span("start", ENGINE):
            pass
    status = Status.FAILED if fail else Status.COMPLETED
    spans.closed(life, now + timedelta(seconds=1), status, fail, "the image is not there" if fail else "")
    return as_uuid(here.trace_id) if here.sampled else None


@pytest.mark.parametrize("fail", ["", "image"])
def test_a_collector_has_the_same_trace_as_the_table(traced: Any, receiver: Receiver, fail: str) -> None:
    traced(OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url)
    trace = a_job(fail)
    running.end()
    assert trace is not None
    table, came = in_table(trace), receiver.trace(trace)
    assert came == table
    assert sorted(seen.operation for seen in came.values()) == ["POST jobs", "job", "place", "pull", "run", "start"]
    assert {seen.status for seen in came.values()} == ({"completed", "failed", "timeout"} if fail else {"completed"})
    (pull,) = [span for _, span in receiver.spans() if span.name == "pull"]
    assert [(event.name, event.attributes[0].value.string_value) for event in pull.events] == [("layer", "sha256:1")]


def test_what_was_received_goes_on_under_the_name_that_it_came_with(traced: Any, receiver: Receiver) -> None:
    traced(OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url)
    record = closed(service="my trainer", status=Status.FAILED, error_message="nan", metadata={
        "attributes": {"epoch": 3, "losses": [0.5, 0.25]}, "kind": "client",
        "events": [{"name": "saved", "time_ns": time.time_ns(), "attributes": {"path": "/out"}}],
        "links": [{"trace_id": f"{5:032x}", "span_id": f"{6:016x}", "attributes": {}}],
    })  # fmt: skip
    backend = running.backend()
    assert backend is not None
    backend.received([record, closed(record, operation="again")])
    running.end()
    (row,) = in_table(as_uuid(record.trace_id)).values()
    first, again = [span for _, span in receiver.spans()]
    assert (row.service, row.operation, again.name) == ("my trainer", "again", "again")
    assert (first.events[0].name, first.links[0].span_id.hex()) == ("saved", f"{6:016x}")
    assert receiver.requests[0].resource_spans[0].resource.attributes
    assert {facts["service.name"] for facts, _ in receiver.spans()} == {"my trainer"}


def test_a_collector_alone_needs_no_table(traced: Any, receiver: Receiver) -> None:
    traced(ENABLE_DB_TRACING=False, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url)
    trace = a_job()
    running.end()
    assert trace is not None
    assert len(receiver.trace(trace)) == 6
    assert not Span.objects.exists()


def test_a_dead_endpoint_costs_neither_the_work_nor_its_end_much_and_fills_no_log(
    traced: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute, caplog.at_level(logging.INFO):
        traced(OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{mute.getsockname()[1]}")
        began = time.monotonic()
        for _ in range(500):
            a_job()
        worked = time.monotonic()
        running.end()
        ended = time.monotonic()
    assert worked - began < 8
    assert ended - worked < 8
    assert Span.objects.count() == 3000
    assert len([record for record in caplog.records if "opentelemetry" in record.name]) == 0


def test_an_endpoint_that_refuses_is_told_once_and_so_that_it_takes_them_again(
    traced: Any, receiver: Receiver, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
    receiver.refuse = 400
    with caplog.at_level(logging.INFO):
        traced(OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url)
        a_job()
        eventually(lambda: [record for record in caplog.records if "not exported" in record.getMessage()], 10)
        a_job()
        receiver.refuse = 0
        eventually(lambda: a_job() and receiver.requests, 10)
        running.end()
    told = [record.getMessage().split(":")[0] for record in caplog.records if record.levelno >= logging.WARNING]
    assert told == ["spans are not exported", "spans are exported again"]


# --- which spans there are --------------------------------------------------------------------------------------------


def operations() -> list[str]:
    return sorted(Span.objects.values_list("operation", flat=True))


@pytest.mark.parametrize(("sampler", "traces"), [
    ("parentbased_traceidratio/0", 0), ("parentbased_traceidratio/1", 3), ("traceidratio/0", 0), ("always_off", 0),
])  # fmt: skip
def test_a_trace_is_there_as_a_whole_or_not_at_all(
    traced: Any, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, sampler: str, traces: int
) -> None:
    name, _, argument = sampler.partition("/")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", name)
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", argument)
    traced(OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url)
    found = [a_job() for _ in range(3)]
    running.end()
    assert sum(trace is not None for trace in found) == traces
    assert len(operations()) == len(list(receiver.spans())) == 6 * traces


def test_half_of_them_is_whole_traces_too(traced: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.5")
    traced()
    kept = {trace for _ in range(40) if (trace := a_job())}
    running.end()
    assert 0 < len(kept) < 40
    assert {trace: Span.objects.filter(trace_id=trace).count() for trace in kept} == dict.fromkeys(kept, 6)
    assert Span.objects.count() == 6 * len(kept)


def test_below_a_service_that_is_switched_off_the_trace_goes_on(traced: Any) -> None:
    traced(TOWLINE_TRACE_SERVICES=[WEB, JOB, ENGINE])
    a_job()
    running.end()
    assert operations() == ["POST jobs", "job", "pull", "start"]
    rows = {row.operation: row for row in Span.objects.all()}
    assert {rows[name].parent_span_id for name in ("pull", "start")} == {rows["job"].span_id}
    assert rows["job"].parent_span_id == rows["POST jobs"].span_id


def test_what_begins_in_a_service_that_is_switched_off_is_traced_still(traced: Any) -> None:
    traced(TOWLINE_TRACE_SERVICES=[JOB, WORKER])
    trace = a_job()
    running.end()
    assert operations() == ["job", "run"]
    assert {row.trace_id for row in Span.objects.all()} == {trace}


def test_opentelemetry_switched_off_is_nothing_at_all(traced: Any) -> None:
    traced(OTEL_SDK_DISABLED=True)
    assert (spans.on(), running.writer(), running.backend()) == (False, None, None)


@pytest.mark.parametrize(
    ("name", "value"), [("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "none"), ("OTEL_BSP_MAX_QUEUE_SIZE", "10")]
)
def test_what_the_sdk_can_not_go_by_stops_the_tracing_and_nothing_else(
    traced: Any,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    value: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv(name, value)
    traced(OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url)
    with spans.span("job", "job", root=True):
        assert not spans.on()
    assert [record.levelname for record in caplog.records if record.name == "tracing.running"] == ["ERROR"]


def test_nothing_wanted_is_nothing_at_all(traced: Any) -> None:
    traced(ENABLE_DB_TRACING=False)
    assert (spans.on(), running.writer(), running.backend()) == (False, None, None)
