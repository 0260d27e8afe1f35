"""The web process holds no more than it needs: many watch, many ask, nobody notices."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from tests.crowd import Follower, gathered
from tests.stack import RunningStack

WATCHERS = 40  # the pool of a web process on PostgreSQL holds TOWLINE_SLOTS + 16 connections: 24
SOON_SECONDS = 8  # the pool gives up after 15
FOLLOWERS = 300
LINES = 1200
CHAT = f"i=0; while [ $i -lt {LINES} ]; do i=$((i+1)); echo line $i; [ $((i % 10)) = 0 ] && sleep 0.02; done; exit 3"
FLOOD_LINES = 12_000
FLOOD = f"sleep 1; seq -f '%0900g' 1 {FLOOD_LINES}"  # 11 MB: more than sockets hold
THREADS = 40
MIB = 1024 * 1024


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


def test_who_sends_slowly_has_no_thread_yet(stack: RunningStack) -> None:
    address = urlsplit(stack.url)
    head = f"POST /api/v1/jobs/ HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Length: 100\r\n\r\n{{"
    with contextlib.ExitStack() as sending:
        for _ in range(THREADS):
            door = sending.enter_context(socket.create_connection((address.hostname or "", address.port or 0)))
            door.sendall(head.encode())
        assert stack.http.get("/jobs/", timeout=SOON_SECONDS).status_code == 200


def test_who_asks_for_the_head_of_a_stream_is_answered(stack: RunningStack) -> None:
    job = stack.submit("sleep", "60")
    for _ in range(2):  # over the same connection
        answer = stack.http.head(f"/jobs/{job['id']}/logs/", headers={"Accept": "text/event-stream"})
        assert answer.headers["content-type"] == "text/event-stream"
    stack.http.post(f"/jobs/{job['id']}/cancel/")
    assert stack.wait(job)["state"] == "cancelled"


def test_a_hundred_wait_for_the_end_of_a_job(stack: RunningStack) -> None:
    job = stack.submit("sh", "-c", "sleep 2; exit 3")
    most = Most(stack.pid_of("web"))

    async def wait(http: httpx.AsyncClient) -> int:
        return int((await http.get(f"/api/v1/jobs/{job['id']}/wait/")).json()["exit_code"])

    async def crowd() -> set[int]:
        limits = httpx.Limits(max_connections=None)
        headers = stack.http.headers
        async with httpx.AsyncClient(base_url=stack.url, headers=headers, limits=limits, timeout=60) as http:
            waiting = asyncio.gather(*(wait(http) for _ in range(100)))
            while not waiting.done():
                most.look()
                await asyncio.sleep(0.05)
            return set(await waiting)

    assert asyncio.run(crowd()) == {3}
    assert most.threads < THREADS


def test_an_answered_request_leaves_no_connection_open(stack: RunningStack) -> None:
    """On SQLite, a connection that nobody closes keeps two files for a long while; a few threads keep theirs."""
    job = stack.submit("sleep", "60")
    with stack.http.stream("GET", f"/jobs/{job['id']}/logs/", params={"follow": "1"}):
        for _ in range(60):
            assert stack.http.get(f"/jobs/{job['id']}/wait/", params={"timeout": "0.01"}).status_code == 200
        assert len(journals(stack.pid_of("web"))) <= 9
    stack.http.post(f"/jobs/{job['id']}/cancel/")
    assert stack.wait(job)["state"] == "cancelled"


@dataclass
class Most:
    """The most that the web process had of something at any time, looked at every now and then."""

    pid: int
    threads: int = 0
    memory: int = 0

    def look(self) -> None:
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        said = dict(line.split(":", 1) for line in lines)
        self.threads = max(self.threads, int(said["Threads"]))
        self.memory = max(self.memory, int(said["VmRSS"].split()[0]) * 1024)

    async def watch(self) -> None:
        while True:
            self.look()
            await asyncio.sleep(0.05)


async def follow_all(followers: list[Follower], most: Most, seconds: float) -> None:
    watching = asyncio.create_task(most.watch())
    await gathered(followers, seconds=seconds)
    watching.cancel()


def test_three_hundred_follow_one_job_to_its_end(stack: RunningStack) -> None:
    job = stack.submit("sh", "-c", CHAT)
    most = Most(stack.pid_of("web"))
    most.look()
    before = most.memory

    async def crowd() -> list[Follower]:
        followers = [Follower(stack, job["id"]) for _ in range(FOLLOWERS)]
        for follower in followers:
            follower.go_on.set()
        await follow_all(followers, most, 60)
        return followers

    followers = asyncio.run(crowd())
    assert [wrong for follower in followers for wrong in follower.wrong] == []
    assert {(follower.next - 1, follower.end["exit_code"], follower.connected) for follower in followers} == {
        (LINES, 3, 1)
    }
    assert most.threads < THREADS
    assert most.memory - before < 100 * MIB
    assert len(journals(most.pid)) <= 9


def test_readers_that_stall_miss_nothing_and_hold_nothing(stack: RunningStack) -> None:
    job = stack.submit("sh", "-c", FLOOD)
    most = Most(stack.pid_of("web"))
    most.look()
    before = most.memory

    async def crowd() -> list[Follower]:
        followers = [Follower(stack, job["id"]) for _ in range(30)]
        following = asyncio.create_task(follow_all(followers, most, 60))
        await asyncio.to_thread(stack.wait, job)
        idle = Most(most.pid)
        idle.look()
        assert idle.memory - before < 60 * MIB, "thirty times 11 MB, if it were kept for them"
        assert stack.http.get("/jobs/", timeout=SOON_SECONDS).status_code == 200
        for follower in followers:
            follower.go_on.set()
        await following
        return followers

    followers = asyncio.run(crowd())
    assert [wrong for follower in followers for wrong in follower.wrong] == []
    assert {follower.next - 1 for follower in followers} == {FLOOD_LINES}
    assert most.threads < THREADS


def journals(pid: int) -> list[str]:
    """SQLite's, one for each connection. The process goes on meanwhile: what it closes between two looks is not open."""
    open_ones = []
    for file in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            open_ones.append(str(file.readlink()))
    return [path for path in open_ones if path.endswith("-wal")]
