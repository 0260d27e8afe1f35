"""Hints that something changed: sent after commit, best effort, never needed for anything to be right.

`announce` tells followers of a job over Redis to look at the database; `hand_over` names a Celery task, so that
`jobs` need not know who does the work. Both leave in one thread of the process, so that a Redis which is down or frozen
delays neither a request nor a run. A hint that is lost costs a poll interval, never a job.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import redis
from celery import current_app
from django.conf import settings
from django.db import transaction
from kombu.exceptions import OperationalError
from opentelemetry.trace import SpanKind
from redis.backoff import NoBackoff
from redis.retry import Retry

from tracing.identity import Parent
from tracing.services import CONTROL
from tracing.spans import Subject, here, span

log = logging.getLogger(__name__)
QUIET_SECONDS = 2.0  # after a failure: nothing is tried, so that hints do not pile up behind a dead Redis
PENDING_MOST = 10_000
TROUBLE = (OperationalError, redis.RedisError, OSError)
Trace = tuple[Parent | None, Subject]


def channel(job_id: UUID | str, *, end: bool = False) -> str:
    """Where followers of the job listen. Its end is told on a channel of its own, too, for who waits for nothing else."""
    return f"towline:job:{job_id}:end" if end else f"towline:job:{job_id}"


def announce(job_id: UUID | str, *, end: bool = False) -> None:
    """Tell followers that the job or its log has something new; `end`: that the job is over."""
    _outbox.put("announce", lambda: _connection().publish(channel(job_id), b""))
    if end:
        _outbox.put("announce", lambda: _connection().publish(channel(job_id, end=True), b""))


def hand_over(task: str, *args: Any, **options: Any) -> None:
    """Send the named task once the transaction has committed. Ids only in `args`."""
    transaction.on_commit(lambda: send(task, *args, **options))


def send(task: str, *args: Any, trace: Trace | None = None, **options: Any) -> None:
    """Send the named task now; what can't be sent, the next timer makes good. `trace`: where in a trace, and about what."""
    parent, subject = trace or (None, None)

    def deliver() -> None:
        with span("send", CONTROL, parent=parent, subject=subject, kind=SpanKind.PRODUCER, leaves=TROUBLE, task=task):
            place = here()
            headers = {"traceparent": str(place)} if place else None
            current_app.send_task(
                task, args=args, retry=False, **{"ignore_result": True, "headers": headers, **options}
            )

    _outbox.put(task, deliver)


class _Outbox:
    """One thread that sends, in order. It starts with the first hint; at exit what waits is still sent."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "hints")
        self._room = threading.Semaphore(PENDING_MOST)
        self._quiet_until = 0.0

    def put(self, what: str, deliver: Callable[[], object]) -> None:
        if not self._room.acquire(blocking=False):
            return
        try:
            self._thread.submit(self._deliver, what, deliver)
        except RuntimeError:  # the interpreter is ending
            self._room.release()

    def _deliver(self, what: str, deliver: Callable[[], object]) -> None:
        try:
            if time.monotonic() >= self._quiet_until:
                deliver()
        except TROUBLE as error:
            self._quiet_until = time.monotonic() + QUIET_SECONDS
            log.warning("hint %s not sent, the timer makes it good: %s", what, error)
        except Exception:
            log.exception("a mistake while sending hint %s", what)
        finally:
            self._room.release()


_outbox = _Outbox()
_client: redis.Redis | None = None


def _connection() -> redis.Redis:
    """Of the outbox's thread."""
    global _client
    if _client is None:
        url = settings.TOWLINE.redis_url
        _client = redis.Redis.from_url(url, socket_timeout=2, socket_connect_timeout=1, retry=Retry(NoBackoff(), 0))
    return _client
