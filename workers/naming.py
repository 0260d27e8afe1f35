"""One live process to a worker's name. Two would take each other's attempts away, again and again."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

from django.conf import settings

from .models import Worker

REMEDY = "Give each run worker a name of its own in TOWLINE_WORKER_NAME, or stop the other one."
LOOK_SECONDS = 0.2


class NameTakenError(Exception):
    """Another live process has the name; the message says which, and what to do."""


def await_name(name: str) -> None:
    """Return when the name is free: at once after a crash on this host, else when its heartbeat has stood still for a lease."""
    seen = Worker.objects.filter(name=name).first()
    if seen is None or not _may_live(seen):
        return
    until = time.monotonic() + settings.TOWLINE.TOWLINE_LEASE_SECONDS
    while time.monotonic() < until:
        time.sleep(LOOK_SECONDS)
        now = Worker.objects.filter(name=name).first()
        if now is None or not _may_live(now):
            return
        if now.last_heartbeat_at != seen.last_heartbeat_at:
            raise NameTakenError(f"{name} is running already, as process {now.pid} on {now.host}. {REMEDY}")


def _may_live(worker: Worker) -> bool:
    if not Worker.objects.alive().filter(pk=worker.pk).exists():
        return False
    return worker.host != socket.gethostname() or _is_there(worker.pid)


def _is_there(pid: int) -> bool:
    """Another process than this one, which may well have got the number of the one before it."""
    if pid == os.getpid():
        return False
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
