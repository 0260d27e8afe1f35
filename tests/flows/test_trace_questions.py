"""What is asked of traces in the table: in Python, and on PostgreSQL in SQL as whoever has psql asks. Both answer alike."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import astuple, replace
from datetime import timedelta
from itertools import count
from typing import Any
from uuid import UUID

import pytest
from django.db import connection

from jobs.models import Attempt
from jobs.verdicts import Verdict
from tests.unit.tracing.traces import NOON, span
from tracing.models import Span
from tracing.questions.anomalies import Finding
from tracing.questions.answers import (
    diagnose_execution_trace,
    find_similar_traces,
    identify_root_cause,
    similar_by_python,
)
from tracing.questions.root_cause import RootCause, Witness
from tracing.questions.rules import CAUSE_OF_VERDICT, RECOMMENDATIONS
from tracing.questions.similar import SimilarTrace
from tracing.rows import FIELDS, Row

from .conftest import make_attempt

_executions = count(1_000_000)
THIN = "history too thin: 0 of 4 spans"


def kept(*rows: Row, execution: int | None = None) -> int:
    """In the table, as one execution."""
    execution = next(_executions) if execution is None else execution
    Span.objects.bulk_create(
        Span(**{name: getattr(row, name) for name in FIELDS} | {"execution_id": execution}) for row in rows
    )
    return execution


def kept_of(attempt: Attempt, *rows: Row) -> None:
    """In the table, as those of this attempt."""
    kept(*(replace(row, job_id=str(attempt.job_id)) for row in rows), execution=attempt.pk)


def asked(function: str, *values: int) -> list[tuple[Any, ...]]:
    """As a user of psql would; rows with the columns in the order that the docs name."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {function}({', '.join(['%s'] * len(values))})", values)
        return cursor.fetchall()


def diagnosis(execution: int) -> list[Finding]:
    found = diagnose_execution_trace(execution)
    if connection.vendor == "postgresql":
        assert asked("diagnose_execution_trace", execution) == [astuple(each) for each in found]
    return found


def cause(execution: int, witness: Witness | None = None) -> RootCause | None:
    found = identify_root_cause(execution, witness)
    if connection.vendor == "postgresql":
        assert asked("identify_root_cause", execution) == [astuple(each) for each in [found] if each]
    return found


def similar(execution: int, limit: int = 5) -> list[SimilarTrace]:
    found = find_similar_traces(execution, limit)
    assert found == similar_by_python(execution, limit)
    return found


def reasons(execution: int) -> dict[str, str | None]:
    """Of what is an anomaly."""
    return {each.operation: each.anomaly_reason for each in diagnosis(execution) if each.is_anomaly}


def steps(*seconds: float, operation: str = "step") -> Iterator[Row]:
    """One after the other."""
    root, at = span("root", 0, sum(seconds)), 0.0
    yield root
    for each in seconds:
        yield span(operation, at, at + each, root)
        at += each


def failed(operation: str = "call", message: str | None = "no reason", **more: Any) -> Row:
    return span(operation, 0, 1, **{"status": "failed", "error_message": message, **more})


# Anomalies


def test_a_healthy_execution_has_no_anomaly() -> None:
    for _ in range(5):
        execution = kept(*steps(1, 1, 1, 1, 1.2))
    assert [(each.is_anomaly, each.anomaly_reason) for each in diagnosis(execution)] == [(False, None)] * 6


def test_nothing_is_said_of_what_is_not_there() -> None:
    assert (diagnosis(1), cause(1), similar(1)) == ([], None, [])


def test_the_one_of_five_siblings_that_took_twenty_times_as_long_is_flagged() -> None:
    execution = kept(*steps(0.1, 0.1, 0.1, 0.1, 2))
    assert reasons(execution) == {"step": "took 2000 ms, its normal is 100 ms, the median of 4"}


def test_of_two_siblings_nobody_knows_which_one_is_normal_and_that_is_said() -> None:
    found = diagnosis(kept(*steps(0.1, 2)))
    assert [each.is_anomaly for each in found] == [False] * 3
    assert found[-1].anomaly_reason == "history too thin: 1 of 4 spans"


def test_normal_is_what_other_executions_took_not_this_one() -> None:
    for _ in range(4):
        kept(*steps(1))
    slow = kept(*steps(*[10] * 30))
    found = {each.anomaly_reason for each in diagnosis(slow) if each.operation == "step" and each.is_anomaly}
    assert found == {"took 10000 ms, its normal is 1000 ms, the median of 4"}


def test_failures_are_no_part_of_what_is_normal() -> None:
    for _ in range(8):
        kept(span("step", 0, 100, status="failed"))
    for _ in range(4):
        kept(span("step", 0, 1))
    assert "median of 4" in str(reasons(kept(span("step", 0, 5)))["step"])


def test_the_same_operation_of_another_service_is_another() -> None:
    for _ in range(9):
        kept(span("step", 0, 1, service="other"))
    assert reasons(kept(span("step", 0, 50))) == {}


def test_a_few_milliseconds_are_never_slow() -> None:
    for _ in range(5):
        kept(span("step", 0, 0))
    assert reasons(kept(span("step", 0, 0.009))) == {}
    assert list(reasons(kept(span("step", 0, 0.010)))) == ["step"]


@pytest.mark.parametrize(
    ("seconds", "found"), [(4.5, {}), (4.501, {"step": "took 4501 ms, its normal is 1500 ms, the median of 4"})]
)
def test_slow_begins_beyond_three_times_the_normal(seconds: float, found: dict[str, str]) -> None:
    for each in (1, 2, 1, 2):
        kept(span("step", 0, each))
    assert reasons(kept(span("step", 0, seconds))) == found


def test_a_hole_between_siblings_is_flagged_on_the_one_before_it() -> None:
    root = span("root", 0, 20)
    execution = kept(root, span("one", 0, 1, root), span("two", 7, 8, root), span("three", 13, 20, root))
    assert reasons(execution) == {"one": f"nothing for 6000 ms after it; {THIN}"}
    assert [each.gap_after_ms for each in diagnosis(execution)] == [None, 6000, 5000, None]


def test_a_nested_child_or_an_overlapping_sibling_gives_no_negative_gap() -> None:
    root = span("root", 0, 30)
    outer = span("outer", 0, 10, root)
    execution = kept(root, outer, span("inner", 1, 2, outer), span("beside", 5, 20, root), span("last", 12, 30, root))
    assert [each.gap_after_ms for each in diagnosis(execution)] == [None, 0, None, 0, None]


def test_what_a_message_set_off_fills_the_hole_behind_its_sender() -> None:
    root = span("root", 0, 30)
    send = span("send", 0, 0.1, root)
    run = span("run", 1, 25, send)
    execution = kept(root, send, run, span("pull", 1, 20, run), span("execute", 20, 24, root))
    assert reasons(execution) == {}


def test_the_longest_of_the_earlier_siblings_counts() -> None:
    root = span("root", 0, 30)
    rows = [root, span("long", 0, 10, root), span("short", 1, 2, root), span("next", 11, 30, root)]
    assert [each.gap_after_ms for each in diagnosis(kept(*rows))] == [None, 0, 1000, None]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (
            span("x", 0, 1, status="failed", error_type="ValueError", error_message="bad\nTraceback"),
            "failed, ValueError: bad",
        ),
        (span("x", 0, 1, status="failed"), "failed"),
        (span("x", 0, 1, status="timeout", error_message="too long"), "timeout: too long"),
        (span("x", 0, 1, status="lost"), "lost"),
    ],
)
def test_a_failed_span_is_flagged_with_the_reason(row: Row, reason: str) -> None:
    assert reasons(kept(row)) == {"x": f"{reason}; {THIN}"}


def test_a_span_that_is_open_is_no_anomaly_and_has_no_duration() -> None:
    (found,) = diagnosis(kept(span("open", 0)))
    assert (found.duration_ms, found.completed_at, found.is_anomaly, found.anomaly_reason) == (None, None, False, None)


def test_a_span_without_a_duration_has_that_between_its_times() -> None:
    (found,) = diagnosis(kept(Row(UUID(int=1), UUID(int=2), None, "s", "o", NOON, NOON + timedelta(seconds=2))))
    assert found.duration_ms == 2000


def test_a_span_that_was_written_twice_counts_once_as_it_closed() -> None:
    row = span("twice", 0, 3)
    execution = kept(span("twice", 0, span_id=row.span_id), row)
    kept(span("twice", 0, span_id=row.span_id), execution=execution)
    assert [each.completed_at for each in diagnosis(execution)] == [row.completed_at]


def test_spans_in_a_ring_are_judged_like_others() -> None:
    one, two, own = UUID(int=101), UUID(int=102), UUID(int=103)
    rows = [span("a", 0, 5, two, span_id=one), span("b", 1, 9, one, span_id=two), span("c", 2, 3, own, span_id=own)]
    rows.append(span("outlasts them", 2, 12, one))
    found = {each.operation: each.gap_after_ms for each in diagnosis(kept(*rows))}
    assert found == {"a": None, "b": 0, "c": None, "outlasts them": None}


# Root causes

WORDS = [
    ("NETWORK_TIMEOUT", [span("a", 0, 1), span("b", 61.001, 62)]),
    ("CONNECTION_FAILURE", [failed(message="CONNECTION reset by peer")]),
    ("CONNECTION_FAILURE", [failed(message=None, error_type="ConnectError")]),
    ("CONNECTION_FAILURE", [failed(message="connect ECONNREFUSED 10.0.0.1:443")]),
    ("CONNECTION_FAILURE", [failed(message="connection timed out")]),
    ("SERVICE_TIMEOUT", [failed(message="Timeout while waiting")]),
    ("SERVICE_TIMEOUT", [failed(message="the read timed out")]),
    ("SERVICE_TIMEOUT", [failed(message="context deadline exceeded")]),
    ("SERVICE_TIMEOUT", [span("call", 0, 1, status="timeout")]),
    ("PERFORMANCE_DEGRADATION", [span("call", 0, 120.001)]),
    ("PERFORMANCE_DEGRADATION", [failed(), span("call", 0, 121)]),
    ("MODEL_EXECUTION_FAILURE", [failed("Model.forward", message="CUDA error")]),
    ("MODEL_EXECUTION_FAILURE", [failed("step", service="inference-server")]),
    ("MODEL_EXECUTION_FAILURE", [failed("chat", metadata={"attributes": {"gen_ai.request.model": "llama"}})]),
    ("MODEL_EXECUTION_FAILURE", [failed("main", service="container")]),
    ("UNKNOWN", [failed()]),
    ("UNKNOWN", [failed(metadata={"attributes": {"towline.model_id": "llama"}})]),
    ("UNKNOWN", [failed("chat", metadata={"attributes": {"remodelled": True}})]),
    ("UNKNOWN", [failed("query", "syntax error", metadata={"attributes": {"model_id": "llama", "model.id": "llama"}})]),
    ("UNKNOWN", [span("call", 0, 1, status="lost")]),
    ("CONNECTION_FAILURE", [failed(message=None, metadata={"events": [{"attributes": {"exception.type": "ConnectionError"}}]})]),
    ("UNKNOWN", [failed(metadata={"events": "none", "attributes": []})]),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "rows"), WORDS)
def test_each_pattern_has_its_cause_and_recommendation(kind: str, rows: Sequence[Row]) -> None:
    found = cause(kept(*rows))
    assert found
    assert found.root_cause_type == kind
    assert found.recommendation == RECOMMENDATIONS[kind]


@pytest.mark.parametrize(
    "rows",
    [
        list(steps(1, 1, 1)),
        [span("a", 0, 1), span("b", 61, 62)],
        [span("call", 0, 120)],
        [span("call", 0)],
        [span("connect", 0, 1, error_message="connection timeout retried")],
        [span("generate", 0, 1, service="model")],
    ],
)
def test_a_healthy_execution_has_no_root_cause(rows: Sequence[Row]) -> None:
    assert cause(kept(*rows)) is None


def test_the_order_of_patterns_decides_before_time_does() -> None:
    rows = [failed("early"), span("late", 5, 6, status="failed", error_message="Connection refused")]
    assert cause(kept(*rows)) == RootCause(
        "CONNECTION_FAILURE", "worker", "late", "failed: Connection refused", RECOMMENDATIONS["CONNECTION_FAILURE"]
    )


def test_of_one_pattern_the_first_to_fail_is_the_cause_not_what_it_took_down() -> None:
    root = span("root", 0, 9, status="failed", error_message="connection refused")
    inner = span("inner", 1, 8, root, status="failed", error_message="connection refused")
    found = cause(kept(root, inner, span("later", 8.5, 8.9, root, status="failed", error_message="connection refused")))
    assert found
    assert found.affected_operation == "inner"


def test_what_always_takes_minutes_is_no_degradation() -> None:
    for _ in range(5):
        kept(span("train", 0, 600))
    assert cause(kept(span("train", 0, 700))) is None
    found = cause(kept(span("train", 0, 1900)))
    assert found
    assert found.evidence == "took 1900000 ms, its normal is 600000 ms"


@pytest.mark.parametrize(
    ("normal", "kind"), [(100, "PERFORMANCE_DEGRADATION"), (120, "PERFORMANCE_DEGRADATION"), (120.001, None)]
)
def test_what_takes_minutes_now_and_did_not_before_is_degraded(normal: float, kind: str | None) -> None:
    for _ in range(5):
        kept(span("train", 0, normal))
    found = cause(kept(span("train", 0, 121)))
    assert (found.root_cause_type if found else None) == kind


def ended(verdict: Verdict | None) -> Attempt:
    """An attempt as the platform has it."""
    attempt = make_attempt()
    told = {"state": "failed", "verdict": verdict.as_json()} if verdict else {"state": "succeeded", "exit_code": 0}
    Attempt.objects.filter(pk=attempt.pk).update(finished_at=NOON, **told)
    attempt.refresh_from_db()
    return attempt


def cause_of(attempt: Attempt) -> RootCause | None:
    return cause(attempt.pk, Witness.of(attempt.state, attempt.verdict))


def test_the_platforms_verdict_is_better_evidence_than_any_pattern() -> None:
    attempt = ended(
        Verdict("oom_killed", "The memory limit was reached.", ("limit: 64 MiB", "peak: 64 MiB"), "Ask for more.")
    )
    killed = span("execute", 0, 2, service="container", status="failed", error_type="oom_killed")
    kept_of(attempt, failed("dial", "connection refused"), killed, failed("forward", "no memory", service="trainer"))
    assert cause_of(attempt) == RootCause(
        "OOM_KILLED", "container", "execute",
        "oom_killed: The memory limit was reached. (limit: 64 MiB; peak: 64 MiB)", "Ask for more.",
    )  # fmt: skip


@pytest.mark.parametrize(("code", "kind"), [*CAUSE_OF_VERDICT.items(), ("worker_lost", "WORKER_LOST")])
def test_verdicts_that_mean_a_cause_have_its_name(code: str, kind: str) -> None:
    attempt = ended(Verdict(code, "So it ended."))
    kept_of(attempt, failed("execute", service="container"))
    found = cause_of(attempt)
    assert found
    assert (found.root_cause_type, found.evidence) == (kind, f"{code}: So it ended.")
    assert found.recommendation == RECOMMENDATIONS.get(
        kind, "Read the evidence of the verdict and the log of the attempt."
    )


def test_a_verdict_stands_without_any_span() -> None:
    found = cause_of(ended(Verdict("exit_code", "The program ended with 3.", (), "See its log.")))
    assert found == RootCause(
        "MODEL_EXECUTION_FAILURE", "job", "attempt", "exit_code: The program ended with 3.", "See its log."
    )


def of_a_program(**how: Any) -> list[Row]:
    """What the platform has of one that ended with an exit code, and what it sent itself."""
    execute = span("execute", 0, 9, service="container", status="failed", error_type="exit_code", error_message="1")
    wrong = {"status": "failed", "error_type": "ValueError", "error_message": "diverged\nat line 3", **how}
    train = span("train", 1, 8, execute, service="trainer", status="failed", error_message="stopped")
    return [
        execute,
        train,
        span("epoch", 2, 7, train, service="trainer", **wrong),
        span("load", 1, 2, train, service="x"),
    ]


def test_of_an_exit_code_the_programs_own_word_is_told_as_well() -> None:
    attempt = ended(Verdict("exit_code", "The program ended with 1.", ("last line: bye",), "See its log."))
    kept_of(attempt, *of_a_program(), failed("run", "exit_code"))
    told = "exit_code: The program ended with 1. (last line: bye); trainer: epoch failed, ValueError: diverged"
    assert cause_of(attempt) == RootCause("MODEL_EXECUTION_FAILURE", "container", "execute", told, "See its log.")


def test_without_the_platforms_tables_the_programs_own_word_is_told_as_well() -> None:
    attempt = span(
        "attempt", 0, 10, service="job", status="failed", error_type="exit_code", error_message="It ended with 1."
    )
    found = cause(kept(attempt, *of_a_program()))
    assert found and found.evidence == "exit_code: It ended with 1.; trainer: epoch failed, ValueError: diverged"


def test_a_program_that_says_nothing_of_it_adds_nothing() -> None:
    attempt = ended(Verdict("exit_code", "The program ended with 1."))
    mute = {"status": "failed", "error_type": None, "error_message": None}
    kept_of(attempt, *(row for row in of_a_program(**mute) if row.operation != "train"))
    found = cause_of(attempt)
    assert found and found.evidence == "exit_code: The program ended with 1."


@pytest.mark.parametrize("job", ["batch-9", None])
def test_another_systems_execution_of_the_same_number_has_not_our_attempts_verdict(job: str | None) -> None:
    attempt = ended(Verdict("oom_killed", "The memory limit was reached.", (), "Ask for more."))
    kept(failed("dial", "connection refused", job_id=job), execution=attempt.pk)
    found = cause(attempt.pk)
    assert found and (found.root_cause_type, found.affected_operation) == ("CONNECTION_FAILURE", "dial")


def test_an_attempt_is_diagnosed_without_another_systems_spans_of_the_same_number() -> None:
    attempt = ended(Verdict("exit_code", "The program ended with 1."))
    theirs = failed("dial", "connection refused", job_id="batch-9", service="etl")
    theirs_too = span("attempt", 3, 4, service="job", job_id="batch-9")
    top = span("attempt", 0, 10, service="job", status="failed", error_type="exit_code")
    own = failed("execute", "1", service="container")
    like_ours = replace(span("train", 5, 6, job_id="batch-9"), span_id=own.span_id)
    kept(theirs, theirs_too, span("wait", 90, 91), like_ours, execution=attempt.pk)
    kept_of(attempt, top, own)
    assert [each.operation for each in diagnosis(attempt.pk)] == ["attempt", "execute"]
    found = cause_of(attempt)
    assert found
    assert (found.affected_operation, found.evidence) == ("attempt", "exit_code: The program ended with 1.")


def test_an_attempt_that_succeeded_has_no_root_cause_however_long_it_took() -> None:
    attempt = ended(None)
    kept_of(attempt, failed("dial", "connection refused, trying again"), span("execute", 0, 900))
    assert cause_of(attempt) is None


@pytest.mark.parametrize(("status", "code", "kind"), [
    ("failed", "exit_code", "MODEL_EXECUTION_FAILURE"), ("timeout", "timeout_run", "SERVICE_TIMEOUT"),
    ("failed", "oom_killed", "OOM_KILLED"), ("failed", None, "UNKNOWN"), ("completed", None, None),
])  # fmt: skip
def test_without_the_platforms_tables_the_span_of_the_attempt_is_heard(
    status: str, code: str, kind: str | None
) -> None:
    row = span("attempt", 0, 500 if code is None and kind is None else 5, service="job", status=status, error_type=code)
    found = cause(kept(row))
    assert (found.root_cause_type if found else None) == kind


# Similar traces


def run(*operations: str, fails: str = "", error: str | None = "Error") -> int:
    return kept(
        *(
            span(name, at, at + 1, **({"status": "failed", "error_type": error} if name == fails else {}))
            for at, name in enumerate(operations)
        )
    )


def test_same_similar_and_unlike_come_in_this_order_and_never_itself() -> None:
    unlike, close, same, mine = run("x", "y"), run("a", "b", "d"), run("a", "b", "c"), run("a", "b", "c")
    assert similar(mine) == [
        SimilarTrace(same, 1.0, "completed", 3000, None),
        SimilarTrace(close, 2 / 3, "completed", 3000, None),
        SimilarTrace(unlike, 0.0, "completed", 2000, None),
    ]


def test_what_begins_at_the_same_moment_is_compared_by_name() -> None:
    mine = kept(span("a", 0, 1, span_id=UUID(int=11)), span("b", 0, 1, span_id=UUID(int=12)))
    same = kept(span("a", 0, 1, span_id=UUID(int=22)), span("b", 0, 1, span_id=UUID(int=21)))
    assert [(each.similar_execution_id, each.similarity_score) for each in similar(mine)] == [(same, 1.0)]


def test_no_more_than_asked_for_and_the_latest_of_equals_first() -> None:
    runs = [run("a", "b") for _ in range(9)]
    assert [each.similar_execution_id for each in similar(runs[0], 3)] == [runs[8], runs[7], runs[6]]
    assert similar(runs[0], 0) == []
    assert len(similar(runs[0])) == 5


def test_who_failed_alike_is_more_alike() -> None:
    mine = run("a", "b", fails="b")
    same, elsewhere = run("a", "b", fails="b"), run("a", "b", fails="a")
    otherwise, fine = run("a", "b", fails="b", error="E2"), run("a", "b")
    assert [astuple(each) for each in similar(mine)] == [
        (same, 1.0, "failed", 2000, "worker: b"),
        (otherwise, 0.75, "failed", 2000, "worker: b"),
        (elsewhere, 0.75, "failed", 2000, "worker: a"),
        (fine, 0.5, "completed", 2000, None),
    ]


def test_failures_without_a_type_at_different_points_have_nothing_in_common() -> None:
    mine, other = run("a", "b", fails="b", error=None), run("a", "b", fails="a", error=None)
    assert [(each.similar_execution_id, each.similarity_score) for each in similar(mine)] == [(other, 0.5)]


def test_operations_that_move_or_repeat_cost_as_many_edits() -> None:
    mine = run("a", "b", "c", "c", "d")
    for operations in (
        ["a", "c", "b", "c", "d"],
        ["a", "b", "c", "d"],
        ["b", "c", "c", "d", "e", "f"],
        ["d"],
        ["a", "x", "c", "y", "d"],
    ):
        run(*operations)
    assert [each.similarity_score for each in similar(mine)] == pytest.approx([4 / 5, 3 / 5, 3 / 5, 3 / 6, 1 / 5])


def test_an_execution_that_goes_on_is_started() -> None:
    mine = run("a")
    other = kept(span("a", 0, 2), span("b", 1))
    assert [(each.similar_execution_id, each.status, each.total_duration_ms) for each in similar(mine)] == [
        (other, "started", 2000)
    ]


def test_random_traces_are_scored_alike_in_sql_and_in_python() -> None:
    chance = random.Random(3)
    runs = []
    for _ in range(60):
        operations = [chance.choice("abcdefg") for _ in range(chance.randrange(1, 12))]
        runs.append(run(*operations, fails=chance.choice(["", "", "a", "b"]), error=chance.choice(["E1", "E2", None])))
    for mine in runs[:20]:
        scores = [each.similarity_score for each in similar(mine, 60)]
        assert scores == sorted(scores, reverse=True)
        assert all(0 <= score <= 1 for score in scores)
        assert len(scores) == 59
