"""Celery 5.7.0 ends when Redis restarts while it has something in hand, unless it keeps no copies of messages, as ours.

A worker of nothing but Celery, without our platform and its supervisor, which would hide such an end.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import celery
import pytest

from tests.redis_server import RedisServer
from tests.stack import ROOT, eventually

WORKER = """
import sys, time, pathlib
from celery import Celery
from towline.broker.transport import install
broker, folder = sys.argv[1:]
install()
app = Celery(broker=broker)
app.conf.worker_prefetch_multiplier = 1
app.conf.broker_transport_options = {"ack_emulation": False}

@app.task(name="leave_a_mark")
def leave_a_mark(name, seconds):
    (pathlib.Path(folder) / name).touch()
    time.sleep(seconds)

app.worker_main(["worker", "-P", "threads", "-c", "2", "--without-gossip", "--without-mingle"])
"""


@pytest.fixture
def server() -> Iterator[RedisServer]:
    server = RedisServer()
    server.start()
    yield server
    server.remove()


@contextmanager
def worker(server: RedisServer, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """With both threads busy for some seconds, and a third message in hand."""
    broker = f"redis+socket://{server.socket}"
    command = [sys.executable, "-c", WORKER, broker, str(folder)]
    with (folder / "log").open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT / "platform", stdout=output, stderr=subprocess.STDOUT)
    try:
        with celery.Celery(broker=broker) as sender:
            for name in ("one", "two", "three"):
                sender.send_task("leave_a_mark", (name, 4))
        eventually(lambda: (folder / "one").exists() and (folder / "two").exists(), 30)
        eventually(lambda: not server.client.exists("celery"), 10)
        yield process
    finally:
        process.kill()
        process.wait()


def test_a_worker_with_a_message_in_hand_outlives_redis(server: RedisServer, tmp_path: Path) -> None:
    with worker(server, tmp_path) as process:
        server.kill()
        server.start()
        with celery.Celery(broker=f"redis+socket://{server.socket}") as sender:
            sender.send_task("leave_a_mark", ("after", 0))
        eventually((tmp_path / "after").exists, 20)
        assert process.poll() is None
    assert "EMERGENCY" not in (tmp_path / "log").read_text()
