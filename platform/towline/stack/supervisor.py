"""Keeps processes running: what dies is started again, with a growing pause; at the end all are told to stop, in turn."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

log = logging.getLogger(__name__)
PAUSES_SECONDS = (0.5, 1, 2, 5, 10, 30)
STEADY_SECONDS = 10  # who ran that long, or ended as if told to, starts again at the shortest pause
STOP_SECONDS = 15
_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1


def end_with_parent() -> None:
    """Should the supervisor be killed, its processes must not run on unkept: they are told to stop."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


@dataclass
class Service:
    name: str
    argv: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    failures: int = 0
    due_at: float = 0.0

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None


class Supervisor:
    """Services in order of start; the last started is stopped first. One thread calls `keep`, any may call `stop`."""

    def __init__(self, log_folder: Path) -> None:
        self.services: list[Service] = []
        self._logs = log_folder
        self._logs.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.stopping = threading.Event()

    def add(self, service: Service) -> Service:
        self.services.append(service)
        self._start(service)
        return service

    def log_of(self, service: Service) -> Path:
        return self._logs / f"{service.name}.log"

    def _start(self, service: Service) -> None:
        with self.log_of(service).open("ab") as output:
            service.process = subprocess.Popen(
                service.argv,
                env={**os.environ, **service.environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # Ctrl-C in the terminal is ours to pass on, in order.
                start_new_session=True,
                preexec_fn=end_with_parent,
            )
        service.started_at = time.monotonic()
        service.due_at = 0.0

    def keep(self, seconds: float = 0.5) -> None:
        """Until told to stop: look after every service once in a while."""
        while not self.stopping.wait(seconds):
            self.look()

    def look(self) -> None:
        now = time.monotonic()
        for service in self.services:
            if service.running or self.stopping.is_set():
                continue
            if service.due_at == 0.0:
                self._plan_restart(service, now)
            elif now >= service.due_at:
                self._start(service)

    def _plan_restart(self, service: Service, now: float) -> None:
        code = service.process.returncode if service.process else None
        if now - service.started_at > STEADY_SECONDS or code == 0:
            service.failures = 0
        pause = PAUSES_SECONDS[min(service.failures, len(PAUSES_SECONDS) - 1)]
        service.failures += 1
        service.due_at = now + pause
        log.warning("%s ended (%s), it starts again in %g s: %s", service.name, code, pause, self.log_of(service))

    def stop(self) -> None:
        """Tell all but the first to stop, wait, then the first (which the others need); kill what stays."""
        self.stopping.set()
        first, rest = self.services[:1], self.services[1:]
        for group in (rest, first):
            for service in reversed(group):
                if service.running and service.process:
                    service.process.terminate()
            self._wait(group)

    def _wait(self, services: Sequence[Service]) -> None:
        until = time.monotonic() + STOP_SECONDS
        for service in services:
            if service.process is None:
                continue
            with contextlib.suppress(subprocess.TimeoutExpired):
                service.process.wait(max(0.1, until - time.monotonic()))
            if service.running:
                log.warning("%s does not stop, it is killed", service.name)
                service.process.kill()
                service.process.wait()
