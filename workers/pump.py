"""Between a driver's log and the supervisor: a thread that only reads, and a bounded buffer.

The reader waits when the buffer is full: output then stays in the runtime's own file, nothing is dropped and the container
is never blocked.
"""

from __future__ import annotations

import threading
from collections import deque

from .drivers.output import Batch, Output
from .drivers.protocol import Driver, Handle

BUFFER_BYTES = 8 * 1024 * 1024


class Pump:
    """Reads `driver.logs(handle, after)` once, to its end. `over` says that it came there, `trouble` why it broke off."""

    def __init__(self, driver: Driver, handle: Handle, after: str | None) -> None:
        self._changed = threading.Condition()
        self._outputs: deque[Output] = deque()
        self._bytes = 0
        self._stopped = False
        self.over = False
        self.trouble: Exception | None = None
        self._thread = threading.Thread(target=self._read, args=(driver, handle, after), daemon=True, name="pump")
        self._thread.start()

    def take(self, wait_seconds: float, most_bytes: int) -> list[Output]:
        """What has come, at most about `most_bytes`; waits up to `wait_seconds` for the first or the end."""
        with self._changed:
            if not self._outputs and not self.over and not self._stopped:
                self._changed.wait(wait_seconds)
            taken: list[Output] = []
            size = 0
            while self._outputs and size < most_bytes:
                taken.append(self._outputs.popleft())
                size += size_of(taken[-1])
            self._bytes -= size
            self._changed.notify_all()
        return taken

    def gather(self, seconds: float, enough_bytes: int) -> None:
        """Let more come before it is taken, up to so long or so much; what has come to its end has nothing to wait for."""
        with self._changed:
            self._changed.wait_for(lambda: self.over or self._stopped or self._bytes >= enough_bytes, max(0.0, seconds))

    def wake(self) -> None:
        """Let `take` return at once, with or without output."""
        with self._changed:
            self._changed.notify_all()

    def stop(self) -> None:
        """Read no further. The thread ends when the runtime next says something."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    @property
    def empty(self) -> bool:
        with self._changed:
            return not self._outputs

    def _read(self, driver: Driver, handle: Handle, after: str | None) -> None:
        try:
            for output in driver.logs(handle, after):
                if not self._put(output):
                    break
        except Exception as error:  # noqa: BLE001 - a thread's border: the supervisor raises it where it is seen
            self.trouble = error
        with self._changed:
            self.over = True
            self._changed.notify_all()

    def _put(self, output: Output) -> bool:
        with self._changed:
            while self._bytes >= BUFFER_BYTES and not self._stopped:
                self._changed.wait()
            if self._stopped:
                return False
            self._outputs.append(output)
            self._bytes += size_of(output)
            self._changed.notify_all()
        return True


def size_of(output: Output) -> int:
    """What it takes in memory, about: a block of short lines has an index as large as itself."""
    return len(output.block.data) + len(output.block.index) if isinstance(output, Batch) else 0
