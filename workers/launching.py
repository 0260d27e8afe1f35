"""Running an attempt that no hint has told of: the very task that the hint would have started, on a thread of its own.

So jobs run while Redis is away, and in a worker that has gone deaf. Celery's part in it is the same as for a task that came
by message, but for the events: such a run is in the results and not in Flower.
"""

from __future__ import annotations

import threading
import uuid

from celery import current_app
from celery.app.trace import trace_task
from django.db import connection


def launch(attempt_id: int, job_id: uuid.UUID, worker: str) -> None:
    # Not a daemon: like the pool's threads, it is waited for when the process ends, as it lets its lease go.
    threading.Thread(target=_run, args=(attempt_id, str(job_id), worker), name=f"run-{attempt_id}").start()


def _run(attempt_id: int, job_id: str, worker: str) -> None:
    task, args = current_app.tasks["workers.run"], (attempt_id, job_id)
    task_id = str(uuid.uuid4())
    request = {"id": task_id, "task": task.name, "hostname": worker, "argsrepr": repr(args), "kwargsrepr": "{}"}
    try:
        trace_task(task, task_id, args, {}, request, app=current_app)
    finally:
        connection.close()
