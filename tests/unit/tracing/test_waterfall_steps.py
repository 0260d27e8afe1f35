"""Spans in the order of a waterfall, and which of them determined when it was over."""

from __future__ import annotations

import random
from datetime import timedelta
from time import process_time
from uuid import UUID

from tracing.questions.waterfall import Step, waterfall
from tracing.rows import Row

from .traces import LATER, NOON, span


def drawn(*rows: Row) -> list[str]:
    """One line a step, indented, a star on the critical path."""
    shuffled = random.Random(1).sample(rows, len(rows))
    steps = waterfall(shuffled, LATER)
    return ["  " * step.depth + step.row.operation + ("*" if step.critical else "") for step in steps]


def critical(*rows: Row) -> set[str]:
    return {step.row.operation for step in waterfall(rows, LATER) if step.critical}


def test_children_stand_below_their_parent_by_start() -> None:
    job = span("job", 0, 10)
    attempt = span("attempt", 2, 10, job)
    rows = [job, span("queue", 0, 2, job), attempt, span("run", 3, 10, attempt), span("place", 2, 3, attempt)]
    assert drawn(*rows) == ["job*", "  queue*", "  attempt*", "    place*", "    run*"]


def test_no_spans_make_no_steps() -> None:
    assert waterfall([], LATER) == []


def test_a_span_whose_parent_is_missing_is_a_root() -> None:
    assert drawn(span("orphan", 1, 2, UUID(int=999)), span("root", 0, 3)) == ["root*", "orphan"]


def test_a_span_that_is_its_own_parent_is_a_root() -> None:
    own = UUID(int=55)
    assert drawn(span("self", 0, 1, own, span_id=own)) == ["self*"]


def test_a_ring_is_cut_at_its_earliest_and_nothing_is_lost() -> None:
    one, two, three = (UUID(int=9000 + n) for n in range(3))
    ring = [span("a", 0, 9, three, span_id=one), span("b", 1, 8, one, span_id=two), span("c", 2, 7, two, span_id=three)]
    assert drawn(*ring, span("d", 3, 4, three)) == ["a*", "  b*", "    c*", "      d*"]


def test_of_siblings_that_overlap_only_the_last_to_end_is_critical() -> None:
    root = span("root", 0, 10)
    rows = [root, span("short", 0, 6, root), span("long", 1, 10, root), span("before", 0, 1, root)]
    assert critical(*rows) == {"root", "long", "before"}


def test_the_path_goes_on_in_whoever_had_ended_when_the_critical_one_began() -> None:
    root = span("root", 0, 10)
    first, second = span("first", 0, 4, root), span("second", 5, 9, root)
    rows = [root, first, span("inner", 1, 4, first), span("aside", 2, 4.5, root), second, span("alike", 5, 6, root)]
    assert critical(*rows) == {"root", "second", "aside"}


def attempt_of(program_ends: float, watched_until: float) -> list[Row]:
    """As a worker leaves it: `follow` lies in the chain that ended last, the program beside it."""
    own = {"execution_id": 7}
    attempt = span("attempt", 0, watched_until + 2, **own)
    send = span("send", 0, 1, attempt, **own)
    run = span("run", 1, watched_until + 3, send, service="worker", **own)
    program = span("execute", 2, program_ends, attempt, service="container", **own)
    return [
        attempt, send, run, program, span("start", 1, 2, run, service="engine", **own),
        span("follow", 2, watched_until, run, service="worker", **own),
        span("train", 3, program_ends - 1, program, service="container", **own),
        span("collect", watched_until, watched_until + 2, run, service="worker", **own),
    ]  # fmt: skip


def test_the_program_stands_on_the_path_and_not_who_watches_it() -> None:
    assert critical(*attempt_of(60, 60.1)) == {"attempt", "send", "run", "start", "execute", "train", "collect"}


def test_a_watcher_that_went_on_for_long_after_the_program_was_waited_for_too() -> None:
    assert critical(*attempt_of(60, 90)) >= {"start", "execute", "train", "follow", "collect"}


def test_without_its_own_program_a_watcher_stands_for_itself() -> None:
    rows = [row for row in attempt_of(60, 60.1) if row.operation not in ("execute", "train")]
    others = span("execute", 2, 60, service="container", execution_id=8)
    assert {"follow"} == critical(*rows, others) & {"follow", "execute"}


def test_each_watcher_stands_for_the_program_of_its_own_try() -> None:
    job = span("job", 0, 40)
    rows = [job]
    for number, at in ((1, 0), (2, 20)):
        own = {"execution_id": number}
        send = span("send", at, at + 1, job, **own)
        run = span("run", at + 1, at + 20, send, service="worker", **own)
        rows += [send, run, span("follow", at + 2, at + 19, run, service="worker", **own)]
        rows.append(span("execute", at + 2, at + 19, job, service="container", metadata={"of": number}, **own))
    marked = [step.row for step in waterfall(rows, LATER) if step.critical]
    assert [row.execution_id for row in marked if row.operation == "execute"] == [1, 2]
    assert "follow" not in {row.operation for row in marked}


def test_a_program_that_a_second_worker_adopted_is_on_the_path_from_end_to_end() -> None:
    own = {"execution_id": 7}
    attempt = span("attempt", 0, 40, **own)
    program = span("execute", 1, 38, attempt, service="container", **own)
    rows = [attempt, program, span("early", 1, 9, program, **own), span("late", 9, 37, program, **own)]
    for begins, ends in ((0, 20), (21, 40)):
        run = span("run", begins, ends, attempt, **own)
        rows += [run, span("follow", begins + 1, min(ends, 38.5), run, service="worker", **own)]
    assert critical(*rows) == {"attempt", "run", "execute", "early", "late"}


def test_while_a_program_runs_the_path_leads_to_it_by_all_that_came_before() -> None:
    own = {"execution_id": 7}
    attempt = span("attempt", 0, **own)
    send = span("send", 0, 1, attempt, **own)
    run = span("run", 1, None, send, **own)
    rows = [attempt, send, run, span("create", 1, 3, run, **own), span("follow", 3, None, run, service="worker", **own)]
    program = span("execute", 3, None, attempt, service="container", **own)
    assert critical(*rows, program) == {"attempt", "send", "run", "create", "execute"}


def test_what_a_message_set_off_is_waited_for_though_the_sender_is_long_done() -> None:
    post = span("POST", 0, 0.1)
    job = span("job", 0.05, 60, post)
    send = span("send", 1, 1.1, job)
    rows = [post, job, send, span("run", 1.2, 60, send), span("execute", 2, 59, job)]
    assert critical(*rows) == {"POST", "job", "send", "run"}


def test_clean_up_that_goes_on_into_the_retry_does_not_hide_the_first_attempt() -> None:
    job = span("job", 0, 30)
    first, second = span("attempt 1", 0, 10, job), span("attempt 2", 11, 30, job)
    send = span("send", 0, 1, first)
    run = span("run", 1, 13, send)
    rows = [
        job,
        first,
        send,
        run,
        span("pull", 1, 8, run),
        span("remove", 10, 13, run),
        span("queue", 10, 11, job),
        second,
    ]
    assert critical(*rows) == {"job", "attempt 1", "send", "run", "pull", "queue", "attempt 2"}


def test_times_rounded_to_the_millisecond_do_not_break_the_path() -> None:
    root = span("root", 0, 2)
    assert critical(root, span("a", 0, 1.0005, root), span("b", 1, 2, root)) == {"root", "a", "b"}


def test_an_open_span_lasts_until_now() -> None:
    root = span("root", 0)
    assert critical(root, span("done", 0, 5, root), span("open", 1, None, root)) == {"root", "open"}


def test_clocks_that_differ_do_no_harm() -> None:
    root = span("root", 0, 10)
    assert critical(root, span("early", -5, -1, root), span("late", 12, 20, root)) == {"root", "early", "late"}


def test_three_thousand_spans_and_a_chain_as_deep_are_quick() -> None:
    root = span("root", 0, 3000)
    flat = [root, *(span("step", n, n + 1, root) for n in range(3000))]
    chain = [span("top", 0, 3000)]
    for depth in range(3000):
        chain.append(span("deeper", depth / 10, 3000 - depth / 10, chain[-1]))
    began = process_time()
    assert all(step.critical for step in waterfall(flat, LATER))
    assert [step.depth for step in waterfall(chain, LATER)] == list(range(3001))
    assert process_time() - began < 2


def test_steps_are_of_the_rows_given() -> None:
    row = span("one", 0, 1)
    assert waterfall([row], NOON + timedelta(seconds=9)) == [Step(row, 0, critical=True)]
