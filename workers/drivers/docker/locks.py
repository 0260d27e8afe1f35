"""Host-wide locks between worker processes, as `flock` on files that are never deleted.

The kernel lets go of them when their process dies, however it dies. Names are spread over a fixed number of files, so
nothing piles up and nothing has to be cleaned; two names in one file only wait for each other.
"""

from __future__ import annotations

import fcntl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from zlib import crc32

from workers.drivers.protocol import Unavailable

FILES = 256
POLL_SECONDS = 0.02


def _nothing() -> None:
    """What is done meanwhile by who has nothing to do."""


class HostLocks:
    """Locks under one folder; every process of the host that uses the engine must use the same one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._queues: dict[str, threading.Semaphore] = {}
        self._queues_lock = threading.Lock()

    @contextmanager
    def named(self, name: str, wait_seconds: float, waiting: Callable[[], None] = _nothing) -> Iterator[None]:
        """Hold the lock of this name. Raises `Unavailable` when another holds it for longer than `wait_seconds`.

        `waiting` is called now and then until it is ours; what it raises ends the wait.
        """
        with self._one_of([f"name-{crc32(name.encode()) % FILES}"], wait_seconds, what=name, waiting=waiting):
            yield

    @contextmanager
    def slot(self, kind: str, count: int, wait_seconds: float) -> Iterator[None]:
        """Hold one of `count` equal slots: a semaphore over the host.

        The threads of a process queue up before the files: asking for those again and again costs each 30 ms of CPU,
        and whoever asks at the right moment overtakes all others.
        """
        until = time.monotonic() + wait_seconds
        what = f"a {kind} slot"
        queue = self._queue(kind, count)
        if not queue.acquire(timeout=wait_seconds):
            raise Unavailable(f"other threads of this process have held {what} for {wait_seconds:g} s")
        try:
            with self._one_of([f"{kind}-{n}" for n in range(count)], until - time.monotonic(), what=what):
                yield
        finally:
            queue.release()

    def _queue(self, kind: str, count: int) -> threading.Semaphore:
        with self._queues_lock:
            return self._queues.setdefault(kind, threading.Semaphore(count))

    @contextmanager
    def _one_of(
        self, files: list[str], wait_seconds: float, what: str, waiting: Callable[[], None] = _nothing
    ) -> Iterator[None]:
        until = time.monotonic() + wait_seconds
        while (held := self._try(files)) is None:
            waiting()
            if time.monotonic() >= until:
                raise Unavailable(f"another process of this host has held {what} for {wait_seconds:g} s")
            time.sleep(POLL_SECONDS)
        with held:
            yield

    def _try(self, files: list[str]) -> IO[bytes] | None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for file in files:
            lock = (self._folder / file).open("ab")
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.close()
            else:
                return lock
        return None
