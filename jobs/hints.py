"""Hints that something changed: sent after commit, best effort, never needed for anything to be right.

`announce` tells followers of a job over Redis to look at the database; `hand_over` names a Celery task, so that
`jobs` need not know who does the work. A hint that is lost costs a poll interval, never a job.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import Any
from uuid import UUID

import redis
from celery import current_app
from django.conf import settings
from django.db import transaction
from kombu.exceptions import OperationalError

log = logging.getLogger(__name__)
QUIET_SECONDS = 2.0  # after a failure: Redis is not asked again by every single line of output

_lock = threading.Lock()
_client: redis.Redis | None = None
_quiet_until = 0.0


def channel(job_id: UUID | str, *, end: bool = False) -> str:
    """Where followers of the job listen. Its end is told on a channel of its own, too, for who waits for nothing else."""
    return f"towline:job:{job_id}:end" if end else f"towline:job:{job_id}"


def announce(job_id: UUID | str, *, end: bool = False) -> None:
    """Tell followers that the job or its log has something new; `end`: that the job is over."""
    global _quiet_until
    if time.monotonic() < _quiet_until:
        return
    try:
        _connection().publish(channel(job_id), b"")
        if end:
            _connection().publish(channel(job_id, end=True), b"")
    except redis.RedisError:
        _quiet_until = time.monotonic() + QUIET_SECONDS


def _connection() -> redis.Redis:
    global _client
    with _lock:
        if _client is None:
            _client = redis.Redis.from_url(
                settings.TOWLINE.redis_url, socket_timeout=2, socket_connect_timeout=1, health_check_interval=25
            )
        return _client


def hand_over(task: str, *args: Any, **options: Any) -> None:
    """Send the named task once the transaction has committed. Ids only in `args`."""
    transaction.on_commit(lambda: send(task, *args, **options))


def send(task: str, *args: Any, **options: Any) -> bool:
    """Send it now; False when the broker can't be reached, which the next timer makes good."""
    try:
        current_app.send_task(task, args=args, retry=False, ignore_result=options.pop("ignore_result", True), **options)
    except (OperationalError, redis.RedisError, OSError) as error:
        log.warning("hint %s%r not sent, the timer will: %s", task, args, error)
        return False
    return True
