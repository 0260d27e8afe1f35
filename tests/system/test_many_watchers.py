"""The web process holds no more than it needs: many watch, many ask, nobody notices."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from tests.stack import RunningStack

WATCHERS = 40  # the pool of a web process on PostgreSQL holds TOWLINE_SLOTS + 16 connections: 24
SOON_SECONDS = 8  # the pool gives up after 15


def watch(stack: RunningStack, pk: str, everybody: threading.Barrier, asked: threading.Event) -> int:
    """The status of one stream that stays open until the API has been asked."""
    url, headers = f"{stack.url}/api/v1/jobs/{pk}/logs/", {**stack.http.headers, "Accept": "text/event-stream"}
    with httpx.stream("GET", url, headers=headers, timeout=30) as answer:
        for line in answer.iter_lines():
            if line.startswith("event: lines"):
                everybody.wait(60)
                break
        assert asked.wait(60)
        return answer.status_code


def test_forty_open_streams_leave_the_api_answering(stack: RunningStack) -> None:
    job = stack.submit("sh", "-c", "echo up; sleep 60")
    everybody, asked = threading.Barrier(WATCHERS + 1), threading.Event()
    with ThreadPoolExecutor(WATCHERS) as crowd:
        watchers = [crowd.submit(watch, stack, job["id"], everybody, asked) for _ in range(WATCHERS)]
        try:
            everybody.wait(60)
            assert stack.http.get("/jobs/", timeout=SOON_SECONDS).status_code == 200
        finally:
            asked.set()
            everybody.abort()
        assert {watcher.result() for watcher in watchers} == {200}
    stack.http.post(f"/jobs/{job['id']}/cancel/")
    assert stack.wait(job)["state"] == "cancelled"


def test_an_answered_request_leaves_no_connection_open(stack: RunningStack) -> None:
    """Each has a thread of its own. On SQLite, a connection that nobody closes keeps two files for a long while."""
    job = stack.submit("sleep", "60")
    with stack.http.stream("GET", f"/jobs/{job['id']}/logs/", params={"follow": "1"}):
        for _ in range(60):
            assert stack.http.get(f"/jobs/{job['id']}/wait/", params={"timeout": "0.01"}).status_code == 200
        assert len(journals(stack.pid_of("web"))) <= 9
    stack.http.post(f"/jobs/{job['id']}/cancel/")
    assert stack.wait(job)["state"] == "cancelled"


def journals(pid: int) -> list[Path]:
    """SQLite's, one for each connection."""
    return [file for file in Path(f"/proc/{pid}/fd").iterdir() if str(file.readlink()).endswith("-wal")]
