"""What a foreign span is of: under the names that systems give it, and told at the top for all that is below."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tracing.otlp.taking import Taken
from tracing.records import Record

from .test_otlp import HOME, TRACE, record, span, taken

Found = tuple[str | None, int | None, str | None, str | None]
ALL = {"job_id": "j", "execution_id": 7, "model_id": "m", "region": "r"}


def numbered(number: int, parent: int | None = None, trace_id: bytes = TRACE, **said: Any) -> Span:
    above = b"" if parent is None else parent.to_bytes(8)
    return span(said, trace_id=trace_id, span_id=number.to_bytes(8), parent_span_id=above, name=str(number))


def of(found: Record) -> Found:
    return found.job_id, found.execution_id, found.model_id, found.region


def each(found: Taken) -> dict[str, Found]:
    return {record.operation: of(record) for record in found.records}


@pytest.mark.parametrize(
    "said",
    [
        {"job.id": "j", "execution.id": "7", "model.id": "m", "cloud.region": "r"},
        {"job_id": "j", "execution_id": 7, "gen_ai.request.model": "m", "region": "r", "cloud.region": "elsewhere"},
        {"towline.execution_id": 7, "execution.id": 8, "towline.job_id": "j", "model_id": "m", "region": "r"},
    ],
)
def test_the_names_of_other_systems_are_known(said: dict[str, Any]) -> None:
    assert of(record(span(said))) == ("j", 7, "m", "r")


def test_a_resource_that_has_much_to_say_loses_what_is_long_and_not_what_it_is_of() -> None:
    line = {"process.command_line": "java " + "x" * 5000, **{f"a{n}": "y" * 300 for n in range(20)}}
    found = record(span(), **line, service__name="late", **ALL, host__name="h1")
    assert (found.service, of(found)) == ("late", ("j", 7, "m", "r"))
    kept = found.metadata["resource"]
    assert "process.command_line" not in kept and {"a0", "execution_id"} < kept.keys()


def test_what_the_top_says_is_so_for_all_below_in_whatever_order_they_come() -> None:
    found = taken(numbered(3, 2), numbered(2, 1), numbered(1, **ALL), numbered(4, 3))
    assert set(each(found).values()) == {("j", 7, "m", "r")}


def test_a_spans_own_word_comes_first_and_job_and_execution_go_together() -> None:
    found = taken(
        numbered(1, **ALL), numbered(2, 1, execution_id=8), numbered(3, 2, region="s"), numbered(4, 1, job_id="k")
    )
    assert each(found) == {
        "1": ("j", 7, "m", "r"), "2": (None, 8, "m", "r"), "3": (None, 8, "m", "s"), "4": ("k", None, "m", "r"),
    }  # fmt: skip


def test_nothing_is_taken_from_other_traces_from_below_or_out_of_a_ring() -> None:
    found = taken(
        numbered(1, **ALL), numbered(2, 1, trace_id=b"\x07" * 16), numbered(3), numbered(4, 3, **ALL),
        numbered(5, 6), numbered(6, 5),
    )  # fmt: skip
    nothing = (None, None, None, None)
    assert each(found) == {
        "1": ("j", 7, "m", "r"), "2": nothing, "3": nothing, "4": ("j", 7, "m", "r"), "5": nothing, "6": nothing,
    }  # fmt: skip


def test_ten_thousand_in_a_chain_are_told_at_once() -> None:
    chain = [numbered(number, number - 1 or None) for number in range(10_000, 1, -1)]
    found = taken(*chain, numbered(1, **ALL))
    assert set(each(found).values()) == {("j", 7, "m", "r")}


def test_a_containers_spans_are_of_its_attempt_whatever_is_above_them() -> None:
    found = taken(numbered(1, **ALL), numbered(2, 1), home=HOME)
    assert set(each(found).values()) == {("job-1", 5, "llama", "eu")}
