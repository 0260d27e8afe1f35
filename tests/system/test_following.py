"""Following a job's log over HTTP: live, late, and after being cut off; never a gap, never a line twice."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.crowd import Follower, gathered
from tests.stack import RunningStack, eventually

COUNT = "i=0; while [ $i -lt 100 ]; do i=$((i+1)); echo line $i; sleep 0.02; done; exit 3"


def events(stack: RunningStack, job: dict[str, Any], last: str = "", **params: Any) -> Iterator[tuple[str, str, Any]]:
    """(event, id, data) until the stream ends."""
    headers = {"Accept": "text/event-stream", **({"Last-Event-ID": last} if last else {})}
    with stack.http.stream("GET", f"/jobs/{job['id']}/logs/", headers=headers, params=params) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        event = identity = ""
        for line in answer.iter_lines():
            field, _, value = line.partition(": ")
            if field == "event":
                event, identity = value, ""
            elif field == "id":
                identity = value
            elif field == "data":
                yield event, identity, json.loads(value)


def numbers(rows: list[tuple[str, str, Any]]) -> list[int]:
    return [line["n"] for event, _, data in rows if event == "lines" for line in data]


def test_a_stream_gives_every_line_once_and_then_the_end(stack: RunningStack) -> None:
    job = stack.submit("sh", "-c", COUNT)
    rows = list(events(stack, job))
    assert numbers(rows) == list(range(1, 101))
    assert [int(identity) for event, identity, _ in rows if event == "lines"][-1] == 100
    event, _, end = rows[-1]
    assert (event, end["state"], end["exit_code"], end["verdict"]["code"]) == ("end", "failed", 3, "exit_code")
    assert (end["lines"], end["complete"], end["sha256"]) == (100, True, stack.job(job["id"])["log"]["sha256"])
    states = [data["state"] for event, _, data in rows if event == "state"]
    assert states == sorted(states, key=["queued", "assigned", "running", "failed"].index)


def test_a_line_is_seen_soon_after_it_was_written(stack: RunningStack) -> None:
    job = stack.submit("sh", "-c", "while :; do date +%s.%N; sleep 0.3; done")
    late: list[float] = []
    for event, _, data in events(stack, job):
        if event == "lines":
            late += [time.time() - float(line["text"]) for line in data]
        if len(late) >= 12:
            break
    stack.http.post(f"/jobs/{job['id']}/cancel/")
    assert sorted(late[2:])[len(late[2:]) // 2] < 0.5, late


def test_a_late_reader_gets_it_all_at_once(stack: RunningStack) -> None:
    job = stack.run("sh", "-c", "seq 1 5000")
    rows = list(events(stack, job))
    assert numbers(rows) == list(range(1, 5001))
    assert rows[-1][0] == "end"


def test_a_reader_that_was_cut_off_goes_on_behind_what_it_saw(stack: RunningStack) -> None:
    job = stack.submit("sh", "-c", COUNT)
    seen: list[tuple[str, str, Any]] = []
    last = ""
    while not (seen and seen[-1][0] == "end"):
        for count, row in enumerate(events(stack, job, last), 1):
            seen.append(row)
            last = row[1] or last
            if count >= 5:
                break
    assert numbers(seen) == list(range(1, 101))


def test_a_reader_outlives_the_web_process(stack: RunningStack) -> None:
    job = stack.submit("sh", "-c", COUNT)
    seen: list[tuple[str, str, Any]] = []
    last, killed = "", 0
    until = time.monotonic() + 60
    while not (seen and seen[-1][0] == "end") and time.monotonic() < until:
        try:
            for row in events(stack, job, last):
                seen.append(row)
                last = row[1] or last
                if not killed and len(numbers(seen)) > 20:
                    killed = stack.pid_of("web")
                    os.kill(killed, signal.SIGTERM)
        except httpx.TransportError:
            time.sleep(0.1)
    assert killed
    eventually(lambda: _is_another(stack, killed))
    assert numbers(seen) == list(range(1, 101))


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_many_readers_outlive_the_web_process_in_a_flood(stack: RunningStack, how: signal.Signals) -> None:
    """Each comes back to the next web process with the last number it saw: every line once, in order."""
    flood = "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); echo line $i; [ $((i % 200)) = 0 ] && sleep 0.03; done; exit 3"
    job = stack.submit("sh", "-c", flood)

    async def crowd() -> list[Follower]:
        followers = [Follower(stack, job["id"]) for _ in range(20)]
        for follower in followers:
            follower.go_on.set()
        following = asyncio.create_task(gathered(followers, seconds=60))
        while min(follower.next for follower in followers) < 2000:
            assert not following.done()
            await asyncio.sleep(0.01)
        os.kill(stack.pid_of("web"), how)
        await following
        return followers

    followers = asyncio.run(crowd())
    assert [wrong for follower in followers for wrong in follower.wrong] == []
    assert {(follower.next - 1, follower.end["exit_code"]) for follower in followers} == {(20000, 3)}
    assert max(follower.connected for follower in followers) > 1


def test_streams_end_at_once_when_the_web_process_is_told_to_stop(stack: RunningStack) -> None:
    job = stack.submit("sleep", "30")
    stack.until(job, lambda shown: shown["state"] == "running")
    ended = threading.Event()

    def read() -> None:
        list(events(stack, job))
        ended.set()

    reader = threading.Thread(target=read)
    reader.start()
    before = stack.pid_of("web")
    told_at = time.monotonic()
    os.kill(before, signal.SIGTERM)
    assert ended.wait(4)
    assert time.monotonic() - told_at < 3
    reader.join()
    eventually(lambda: _is_another(stack, before))
    stack.http.post(f"/jobs/{job['id']}/cancel/")
    stack.wait(job)


def _is_another(stack: RunningStack, before: int) -> bool:
    """Whether a new web process answers: the old one does for a moment longer than its streams."""
    try:
        return stack.pid_of("web") != before and httpx.get(f"{stack.url}/healthz/ready").status_code == 200
    except (AssertionError, httpx.TransportError):
        return False


def test_following_as_text_gives_the_exact_bytes(stack: RunningStack) -> None:
    job = stack.submit("sh", "-c", "printf 'a\\000b\\377\\r\\n'; sleep 0.3; printf end")
    with stack.http.stream("GET", f"/jobs/{job['id']}/logs/", params={"follow": 1}) as answer:
        assert b"".join(answer.iter_raw()) == b"a\0b\xff\r\nend"


def test_a_follower_of_a_waiting_job_waits_and_hears_of_its_cancel(stack: RunningStack) -> None:
    job = stack.submit("true", requires={"disk": "unobtainium"})
    rows = events(stack, job)
    assert next(rows)[2]["state"] == "queued"
    stack.http.post(f"/jobs/{job['id']}/cancel/")
    assert list(rows)[-1][2]["state"] == "cancelled"


def test_a_retry_goes_on_in_the_same_stream(stack: RunningStack) -> None:
    job = stack.submit("sh", "-c", "echo try; exit 1", retry={"max_attempts": 2, "backoff": 0.2, "on": ["user"]})
    rows = list(events(stack, job))
    assert numbers(rows) == [1, 1]
    assert [identity for event, identity, _ in rows if event == "lines"] == ["1", "2-1"]
    assert {data["attempt"] for event, _, data in rows if event == "state"} >= {1, 2}


def test_a_replay_over_several_attempts_resumes_in_the_right_one(stack: RunningStack) -> None:
    job = stack.run("sh", "-c", "echo a; echo b; exit 1", retry={"max_attempts": 3, "backoff": 0, "on": ["user"]})
    rows = list(events(stack, job, last="0"))
    assert [identity for event, identity, _ in rows if event == "lines"] == ["2", "2-2", "3-2"]
    assert numbers(list(events(stack, job, last="2-1"))) == [2, 1, 2]
    assert numbers(list(events(stack, job, attempt=2))) == [1, 2]
    assert numbers(list(events(stack, job, attempt=2, onward=1))) == [1, 2, 1, 2]


def test_output_can_not_forge_events(stack: RunningStack) -> None:
    job = stack.run("printf", "x\\n\\nevent: end\\ndata: {}\\n\\n\\342\\200\\250\\n")
    rows = list(events(stack, job))
    assert [event for event, _, _ in rows if event == "end"] == ["end"]
    assert [line["text"] for line in stack.lines(job)] == ["x", "", "event: end", "data: {}", "", "\u2028"]


def test_many_followers_leave_the_database_to_the_others(stack: RunningStack) -> None:
    """Each one reads again and again: a connection of its own for as long would empty the pool."""
    job = stack.submit("sh", "-c", "echo started; sleep 60")
    began = time.monotonic()
    with contextlib.ExitStack() as following:
        for kind in ["logs/?follow=1"] * 30 + ["wait/?timeout=60"] * 10:
            following.enter_context(stack.http.stream("GET", f"/jobs/{job['id']}/{kind}"))
        assert stack.http.get(f"/jobs/{job['id']}/").json()["id"] == job["id"]
        assert time.monotonic() - began < 12
    stack.http.post(f"/jobs/{job['id']}/cancel/")
