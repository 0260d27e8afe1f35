"""A Redis of the test's own, to be killed, frozen, emptied and filled, with a platform that depends on it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.stack import eventually
from towline.stack.redis import answers, find_server, server_arguments


class RedisServer:
    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="tl-redis-"))
        self.socket = self.folder / "redis.sock"
        self.url = f"unix://{self.socket}"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.url, socket_timeout=5, retry=Retry(NoBackoff(), 0))

    def start(self) -> None:
        arguments = server_arguments(find_server(), self.socket, self.folder / "data")
        self.process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL)
        eventually(lambda: answers(self.url), 10)

    def signal(self, number: int) -> None:
        assert self.process is not None
        os.kill(self.process.pid, number)

    def kill(self, *, empty: bool = False) -> None:
        """As a crash does; `empty`: what it had on disk is gone, too."""
        assert self.process is not None
        self.signal(signal.SIGKILL)
        self.process.wait()
        self.socket.unlink()
        if empty:
            shutil.rmtree(self.folder / "data")

    def remove(self) -> None:
        if self.process and self.process.poll() is None:
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
