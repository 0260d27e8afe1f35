"""The Celery tasks. Messages hold ids only, and each task may be delivered any number of times."""

from __future__ import annotations

import logging
from typing import Any

from celery import current_app, shared_task
from celery.exceptions import Ignore
from celery.worker.control import control_command

from jobs.models import Attempt
from jobs.states import ACTIVE_ATTEMPT

from . import claims, keeper, placing
from .ending import Ending
from .engines import driver
from .grip import Left
from .reconcile import reconcile as reconcile_all
from .runner import Run

log = logging.getLogger(__name__)
# Only runs send events: Flower should show what users did, not the platform's own pulse.


@shared_task(name="workers.place", ignore_result=True, send_events=False)
def place() -> None:
    placing.place_waiting()


@shared_task(name="workers.reconcile", ignore_result=True, send_events=False)
def reconcile() -> None:
    reconcile_all()


@shared_task(name="workers.carry_out_cancel", ignore_result=True, send_events=False)
def carry_out_cancel(job_id: str) -> None:
    """Wake the worker that has the job. It reads from the database what is wanted; this is only to be quick."""
    names = Attempt.objects.filter(job_id=job_id, state__in=ACTIVE_ATTEMPT).values_list("worker", flat=True)
    if names:
        current_app.control.broadcast("look", destination=list(names))


@control_command()
def look(state: Any) -> dict[str, str]:
    """Remote control, answered by the worker's main thread: full slots do not delay it."""
    if (ours := keeper.current()) is not None:
        ours.look()
    return {"ok": "looking"}


@shared_task(name="workers.run", bind=True)
def run(self: Any, attempt_id: int, job_id: str) -> dict[str, Any]:
    """Run the attempt to its end. The answer is kept by django-celery-results, for show: the truth is in the attempt."""
    ours = keeper.current()
    if ours is None:
        raise RuntimeError("workers.run came to a process that is no run worker: check its queues")
    attempt = claims.claim(attempt_id, ours.worker, ours.boot)
    if attempt is None:
        raise Ignore
    mine = Run(attempt, driver(attempt.runtime))
    ours.take_on(mine)
    try:
        how = _to_the_end(mine)
    except Left:
        claims.let_go(attempt, mine.fence)
        raise Ignore from None
    finally:
        ours.let_go(mine)
    if not ours.stopping:
        placing.place_waiting()
    return _outcome(mine, how)


def _to_the_end(mine: Run) -> Ending:
    try:
        return mine.go()
    except Left:
        raise
    except Exception as error:
        log.exception("a mistake while running %s", mine.attempt)
        return mine.fail(error)


def _outcome(mine: Run, how: Ending) -> dict[str, Any]:
    mine.attempt.refresh_from_db()
    return {
        "job": str(mine.attempt.job_id),
        "attempt": mine.attempt.number,
        "state": how.state.value,
        "exit_code": how.exit_code,
        "verdict": how.verdict.as_json() if how.verdict else None,
        "log": mine.attempt.log_facts(),
        "last_lines": list(mine.last_lines),
    }
