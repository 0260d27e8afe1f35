"""Whether this process still hears its own queue: it writes to itself with every heartbeat, and sees what arrives.

Celery's consumers have been seen deaf: the process lives and beats, its connection looks well, and nothing is consumed.
A probe that could not be sent says nothing, as then it is Redis that is away. Whatever arrives is as good as a probe,
which may lie behind many messages. A pool with no thread left is found out, too: Celery then takes in no more.
"""

from __future__ import annotations

import logging
import math
import os
import threading
import time
from typing import Any

import redis
from celery import current_app, signals
from celery.utils.nodenames import worker_direct
from django.conf import settings
from django.db import connection
from kombu.exceptions import OperationalError

from .keeper import Keeper
from .patience import DATABASE_TROUBLE

log = logging.getLogger(__name__)
DEAF = os.EX_TEMPFAIL  # exit code


class Hearing(threading.Thread):
    """Of the Celery worker `name`. After a lease without an answer it is suspect, and its queues are added to its consumer
    again; after another lease the process ends. The keeper, where there is one, stores the suspicion and leaves the runs.
    """

    def __init__(self, name: str, *queues: str, keeper: Keeper | None = None) -> None:
        super().__init__(name="hearing", daemon=True)
        self._worker = name
        self._own_queue = worker_direct(name)
        self._queues = (self._own_queue.name, *queues)
        self._keeper = keeper
        self._consumer: Any = None
        self._heard = threading.Event()
        self._stopping = threading.Event()
        self._unanswered = 0  # probes, one after the other
        self._suspect = False
        self._redis_away = False

    def listen(self, consumer: Any) -> None:
        """Begin, with Celery's consumer of this process."""
        self._consumer = consumer
        signals.task_received.connect(self._hear)
        self.start()

    def _hear(self, **_: Any) -> None:
        self._heard.set()

    def stop(self) -> None:
        self._stopping.set()

    # --- the thread -----------------------------------------------------------------------------------------------

    def run(self) -> None:
        while not self._stopping.wait(settings.TOWLINE.TOWLINE_HEARTBEAT_SECONDS):
            try:
                self._judge()
                self._ask()
            except DATABASE_TROUBLE as error:
                log.warning("whether %s hears is stored later, the database does not answer: %s", self._worker, error)
                connection.close()
            except Exception:
                log.exception("a mistake while probing; it goes on")

    def _judge(self) -> None:
        if self._heard.is_set():
            self._unanswered = 0
        patience = math.ceil(settings.TOWLINE.TOWLINE_LEASE_SECONDS / settings.TOWLINE.TOWLINE_HEARTBEAT_SECONDS)
        if self._unanswered >= 2 * patience:
            self._end()
        elif self._suspect != (self._unanswered >= patience):
            self._change()

    def _change(self) -> None:
        if self._keeper:
            self._keeper.note_hearing(deaf=not self._suspect)
        self._suspect = not self._suspect
        if self._suspect:
            log.warning("%s does not hear its own queue: it is suspect, and its queues are added again", self._worker)
            for queue in self._queues:
                self._consumer.call_soon(_add_again, self._consumer, queue)
        else:
            log.warning("%s is no longer suspected to be deaf", self._worker)

    def _ask(self) -> None:
        self._heard.clear()
        self._unanswered = self._unanswered + 1 if self._send() else 0

    def _send(self) -> bool:
        """Whether it is certain that Redis has the probe. It expires, so that none is waded through after a silence."""
        began = time.monotonic()
        try:
            current_app.send_task(
                "workers.probe",
                queue=self._own_queue,  # type: ignore[arg-type]  # the stubs know names alone
                expires=settings.TOWLINE.TOWLINE_LEASE_SECONDS,
                ignore_result=True,
                retry=False,
            )
        except (OperationalError, redis.RedisError, OSError) as error:
            if not self._redis_away:
                log.warning("Redis takes no messages, jobs are found in the database meanwhile: %s", error)
            self._redis_away = True
            return False
        if self._redis_away:
            log.warning("Redis takes messages again")
        self._redis_away = False
        # A Redis that was frozen until now has not delivered either.
        return time.monotonic() - began < settings.TOWLINE.TOWLINE_HEARTBEAT_SECONDS

    def _end(self) -> None:
        log.error(
            "%s has not heard its own queue for two leases, though probes are sent: this process ends (exit code %d), so "
            "that its supervisor starts it again; jobs run on",
            self._worker,
            DEAF,
        )
        if self._keeper:
            self._keeper.leave_all()
        os._exit(DEAF)  # an orderly end is the main thread's, and that may be what hangs


def _add_again(consumer: Any, queue: str) -> None:
    """In the consumer's own thread. Without a task consumer it is just connecting, and will have all queues anyway."""
    if consumer.task_consumer:
        consumer.add_task_queue(queue)
