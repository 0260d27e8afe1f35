"""What Prometheus is told by a running platform: exact, and nothing is forgotten when the web process is killed."""

from __future__ import annotations

import os
import signal

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.stack import RunningStack, eventually

COUNTED = ("_total", "_count")
ALL = {"towline_jobs_submitted_total", "towline_job_run_seconds_count"}
ENTRIES_AT_LEAST = 4  # of one attempt: assigned, starting, running, and its end
Figures = dict[tuple[str, ...], float]


def told(stack: RunningStack) -> Figures:
    """By a process that has caught up with the past, which on a busy machine may take it more than one scrape."""

    def look() -> Figures:
        found = _told(stack)
        return found if {key[0] for key in found} >= ALL else {}

    return eventually(look)


def _told(stack: RunningStack) -> Figures:
    answer = httpx.get(f"{stack.url}/metrics", timeout=20)
    answer.raise_for_status()
    samples = [sample for family in text_string_to_metric_families(answer.text) for sample in family.samples]
    return {(each.name, *each.labels.values()): each.value for each in samples if each.name.endswith(COUNTED)}


def grown(stack: RunningStack, before: Figures) -> Figures:
    found = {key: value - before.get(key, 0) for key, value in told(stack).items()}
    # How many spans and entries of time-lines there are is no matter of jobs alone.
    return {key: value for key, value in found.items() if value and "spans" not in key[0] and "events" not in key[0]}


def test_three_jobs_are_three_more_also_of_a_web_process_started_anew(stack: RunningStack) -> None:
    before = told(stack)
    for command in ("echo 1; echo 2", "echo 3", "exit 3"):
        stack.run("sh", "-c", command)
    expected = {
        ("towline_jobs_submitted_total",): 3,
        ("towline_jobs_finished_total", "succeeded", ""): 2,
        ("towline_jobs_finished_total", "failed", "exit_code"): 1,
        ("towline_job_wait_seconds_count",): 3,
        ("towline_job_run_seconds_count",): 3,
        ("towline_job_overhead_seconds_count",): 3,
        ("towline_containers_removed_total",): 3,
        ("towline_log_lines_total",): 3,
        ("towline_log_delivery_seconds_count",): 3,
        ("towline_log_bytes_total",): 6,
    }
    eventually(lambda: grown(stack, before) == expected)
    web = stack.pid_of("web")
    os.kill(web, signal.SIGKILL)
    eventually(lambda: _answers(stack) and stack.pid_of("web") != web)
    assert grown(stack, before) == expected
    events = ("towline_worker_events_processed_total",)
    assert told(stack)[events] - before[events] >= 3 * ENTRIES_AT_LEAST


def _answers(stack: RunningStack) -> bool:
    try:
        return httpx.get(f"{stack.url}/healthz/ready", timeout=5).status_code == 200
    except httpx.TransportError:
        return False
