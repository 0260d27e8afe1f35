"""What the house says of its work becomes spans; with tracing off, nothing at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest

from tracing import spans
from tracing.identity import Parent, as_uuid, span_hex, span_id_of, trace_hex
from tracing.records import Noted, Record
from tracing.sdk import Backend
from tracing.spans import Life, Status, Subject, about, here, span, under

ELSEWHERE = Parent(0xA0, 0xB0)
ABOUT = Subject("job-1", 7, "llama", "eu-1")


class Kept:
    """A sink that keeps what it is given, the last of each span."""

    def __init__(self) -> None:
        self.records: dict[int, Record] = {}
        self.opened: list[str] = []

    def put(self, given: Record | Noted) -> None:
        record = given.record()
        self.records[record.span_id] = record
        if record.ended_ns is None:
            self.opened.append(record.operation)

    def one(self, operation: str) -> Record:
        (found,) = [record for record in self.records.values() if record.operation == operation]
        return found


@pytest.fixture
def kept() -> Iterator[Kept]:
    sink = Kept()
    spans.install(Backend(sink))
    yield sink
    spans.install(None)


def test_spans_lie_in_one_another(kept: Kept) -> None:
    with span("run", "worker", parent=ELSEWHERE, subject=ABOUT), span("create", "engine", image="x") as doing:
        doing.set(exit__code=3)
    run, create = kept.one("run"), kept.one("create")
    assert (run.trace_id, run.parent_span_id, create.parent_span_id) == (0xA0, 0xB0, run.span_id)
    assert (create.job_id, create.execution_id, create.model_id, create.region) == ("job-1", 7, "llama", "eu-1")
    assert {"image": "x", "exit.code": 3}.items() <= create.metadata["attributes"].items()
    assert (create.service, create.status) == ("engine", "completed")


def test_a_span_is_told_of_when_it_opens_and_when_it_closes(kept: Kept) -> None:
    with span("run", "worker", parent=ELSEWHERE):
        assert kept.one("run").status == "started"
    assert kept.one("run").status == "completed"


def test_what_belongs_to_no_trace_is_not_traced(kept: Kept) -> None:
    with span("run", "worker"):
        assert here() is None
    assert not kept.records


def test_what_nobody_wants_sampled_is_not_traced(kept: Kept) -> None:
    with span("run", "worker", parent=Parent(1, 2, sampled=False)), span("create", "engine"):
        assert str(here()).endswith("-00")
    spans.opened(life(Parent(1, 2, sampled=False)))
    assert not kept.records


def test_a_root_begins_a_trace(kept: Kept) -> None:
    with span("submit", "command", root=True):
        about(ABOUT)
        assert here() == Parent(kept.one("submit").trace_id, kept.one("submit").span_id)
    assert kept.one("submit").parent_span_id is None
    assert kept.one("submit").job_id == "job-1"


def test_an_error_fails_it_and_its_text_is_hidden(kept: Kept) -> None:
    with (
        pytest.raises(ValueError, match="hunter2"),
        under(ELSEWHERE, hide=lambda text: text.replace("hunter2", "***")),
        span("create", "engine"),
    ):
        raise ValueError("the password is hunter2")
    failed = kept.one("create")
    assert (failed.status, failed.error_type, failed.error_message) == ("failed", "ValueError", "the password is ***")


def test_what_was_said_of_a_failure_first_stays(kept: Kept) -> None:
    with suppress(KeyError), span("create", "engine", parent=ELSEWHERE) as doing:
        doing.fail("image_not_found", "no such image")
        raise KeyError
    assert kept.one("create").error_type == "image_not_found"


def test_work_that_is_left_has_not_failed(kept: Kept) -> None:
    with pytest.raises(KeyError), span("follow", "worker", parent=ELSEWHERE, leaves=(KeyError,)):
        raise KeyError
    assert (kept.one("follow").status, kept.one("follow").metadata["attributes"]["left"]) == ("completed", "KeyError")


def test_a_time_out_is_one(kept: Kept) -> None:
    with span("pull", "engine", parent=ELSEWHERE) as doing:
        doing.fail("timeout_start", "too slow", Status.TIMEOUT)
    assert kept.one("pull").status == "timeout"


def life(parent: Parent = ELSEWHERE) -> Life:
    start = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    return Life(parent, span_id_of("j", 1), "attempt", "job", ABOUT, start, {"number": 1})


def test_a_life_is_closed_by_whoever_knows_what_it_is_of(kept: Kept) -> None:
    spans.opened(life())
    assert kept.one("attempt").status == "started"
    spans.install(Backend(kept))  # another process
    spans.closed(life(), life().start + timedelta(seconds=2), Status.LOST, "worker_lost", "gone")
    ended = kept.one("attempt")
    assert (ended.status, ended.error_type, ended.duration_ms) == ("lost", "worker_lost", 2000)
    assert (ended.parent_span_id, ended.started_ns) == (0xB0, int(life().start.timestamp()) * 10**9 + 678_901_000)
    assert kept.opened == ["attempt"]


def test_a_clock_that_went_back_makes_no_negative_time(kept: Kept) -> None:
    spans.closed(life(), life().start - timedelta(seconds=2))
    assert kept.one("attempt").duration_ms == 0


def test_a_service_that_is_switched_off_is_left_out_and_its_children_go_up(kept: Kept) -> None:
    spans.install(Backend(kept, services=["worker", "job"]))
    with span("run", "worker", parent=ELSEWHERE), span("create", "engine"), span("unpack", "worker"):
        pass
    assert set(kept.opened) == {"run", "unpack"}
    assert kept.one("unpack").parent_span_id == kept.one("run").span_id


def test_with_tracing_off_nothing_is_there_to_ask() -> None:
    with under(ELSEWHERE, ABOUT), span("run", "worker", root=True) as doing:
        doing.set(a=1)
        doing.fail("x", "y")
        assert here() is None and not spans.on()


@pytest.mark.parametrize(
    "text", ["", "00", "00-" + "0" * 32 + "-b7ad6b7169203331-01", "00-" + "a" * 32 + "-" + "0" * 16 + "-01", "zz"]
)
def test_what_is_no_traceparent_is_none(text: str) -> None:
    assert Parent.parse(text) is None


def test_ids_come_back_as_they_were() -> None:
    parent = Parent(2**127 + 5, 2**63 + 1)
    assert Parent.parse(str(parent)) == parent
    assert trace_hex(as_uuid(parent.trace_id)) == trace_hex(parent.trace_id)
    assert span_hex(as_uuid(parent.span_id)) == span_hex(parent.span_id)
