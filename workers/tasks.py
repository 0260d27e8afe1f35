"""The Celery tasks. Messages hold ids only, and each task may be delivered any number of times."""

from __future__ import annotations

import logging
import socket
import time
from contextlib import AbstractContextManager, nullcontext, suppress
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from celery import current_app, shared_task
from celery.exceptions import Ignore
from celery.worker.control import control_command
from django.conf import settings
from opentelemetry.trace import SpanKind

from jobs import traced
from jobs.failpoints import reach
from jobs.logs import packing
from jobs.logs.retention import retention_round
from jobs.models import Attempt
from jobs.quantities import human_bytes
from jobs.states import ACTIVE_ATTEMPT
from tracing import retention as traces
from tracing import spans
from tracing.identity import Parent
from tracing.services import WORKER

from . import claims, ending, keeper, placing, reaping
from .drivers.protocol import Unavailable
from .engines import driver_of
from .grip import Left
from .patience import DATABASE_TROUBLE, patiently
from .reconcile import reconcile as reconcile_all
from .runner import Run

log = logging.getLogger(__name__)
PACK_SECONDS = 10.0  # no new log is begun after that: the next turn goes on
# Only runs send events: Flower should show what users did, not the platform's own pulse.


@shared_task(name="workers.place", ignore_result=True, send_events=False)
def place() -> None:
    placing.place_waiting()


@shared_task(name="workers.reconcile", ignore_result=True, send_events=False)
def reconcile() -> None:
    reconcile_all()


@shared_task(name="workers.pack_logs", ignore_result=True, send_events=False)
def pack_logs() -> None:
    if settings.TOWLINE.packs_logs:
        packing.pack_for(PACK_SECONDS, settings.TOWLINE.TOWLINE_LOG_PACK_AFTER_SECONDS)


@shared_task(name="workers.reap_traces", ignore_result=True, send_events=False)
def reap_traces() -> None:
    reaping.try_to_reap()


@shared_task(name="workers.retention", ignore_result=True, send_events=False)
def retention() -> None:
    """Any number at once, and killed in the middle, does no harm: the next one goes on."""
    did = retention_round()
    if did.attempts:
        log.info("retention dropped the logs of %d attempts, %s", did.attempts, human_bytes(did.bytes))
    if spans := traces.retention_round().spans:
        log.info("retention dropped %d spans", spans)


@shared_task(name="workers.probe", ignore_result=True, send_events=False)
def probe() -> None:
    """Of a worker to itself; that it arrived is all. See `workers.hearing`."""


@shared_task(name="workers.carry_out_cancel", ignore_result=True, send_events=False)
def carry_out_cancel(job_id: object) -> None:
    """Wake the worker that has the job. It reads from the database what is wanted; this is only to be quick."""
    try:
        job_id = UUID(str(job_id))
    except ValueError:
        log.warning("no job is called %.100r", job_id)
        return
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
def run(self: Any, /, attempt_id: object = None, *_: object, **__: object) -> dict[str, Any]:
    """Run the attempt to its end. The answer is kept by django-celery-results, for show: the truth is in the attempt.

    Whatever else the message says is for people's eyes: whether and what is run, the claim decides.
    """
    ours = keeper.current()
    if ours is None:
        raise RuntimeError("workers.run came to a process that is no run worker: check its queues")
    if not isinstance(attempt_id, int):
        log.warning("no attempt is called %.100r", attempt_id)
        raise Ignore
    began = datetime.now(UTC)
    attempt = claims.claim(attempt_id, ours.worker, ours.boot, self.request.id)
    if attempt is None:
        log.info("a hint came to nothing: attempt %d is not for us to begin", attempt_id)
        raise Ignore
    reach("claimed")
    with _traced(attempt, str((self.request.headers or {}).get("traceparent") or ""), began):
        mine = _run(ours, attempt)
    reach("run_over")
    if not ours.stopping:
        _place_next()
    return _outcome(mine)


def _traced(attempt: Attempt, sent: str, began: datetime) -> AbstractContextManager[object]:
    """Below the message that it came by; of one that no message told of, in the attempt itself."""
    if not spans.on():
        return nullcontext()
    place, header = traced.place_of_attempt(attempt), Parent.parse(sent)
    if header and place and header.trace_id == place.trace_id:
        place = header
    about: dict[str, Any] = {"worker": attempt.worker, "number": attempt.number, "fence": attempt.fence}
    about["host__name"] = socket.gethostname()
    subject = traced.subject_of_attempt(attempt)
    return spans.span(
        "run", WORKER, parent=place, subject=subject, kind=SpanKind.CONSUMER, start=began, leaves=(Ignore,), **about
    )


def _run(ours: keeper.Keeper, attempt: Attempt) -> Run:
    try:
        mine = _begin(attempt)
    except (Unavailable, *DATABASE_TROUBLE) as why:
        _leave(attempt, why)
        raise Ignore from None
    ours.take_on(mine)
    try:
        _go_to_the_end(mine)
    except (Left, *DATABASE_TROUBLE) as why:
        _leave(attempt, why)
        raise Ignore from None
    finally:
        # Last: who waits for the keeper to have no runs waits for their leases to be let go, too.
        ours.let_go(mine)
    return mine


def _leave(attempt: Attempt, why: Exception) -> None:
    """Given up as it stands, whatever happened: whoever claims it next goes on. What fails here the keeper gives back."""
    log.info("%s is left: %s", attempt, why or "asked to")
    with suppress(*DATABASE_TROUBLE):
        claims.let_go(attempt, attempt.fence)


def _begin(attempt: Attempt) -> Run:
    try:
        return Run(attempt, driver_of(attempt))
    except (Unavailable, *DATABASE_TROUBLE):
        raise
    except Exception as error:
        ending.finish(attempt, attempt.fence, ending.mistake(error))
        raise


def _go_to_the_end(mine: Run) -> None:
    try:
        mine.go()
    except (Left, *DATABASE_TROUBLE):
        raise
    except Exception as error:
        log.exception("a mistake while running %s", mine.attempt)
        mine.fail(error)


def _place_next() -> None:
    try:
        placing.place_waiting()
    except DATABASE_TROUBLE as error:
        log.warning("the next placement does it, the database does not answer: %s", error)


def _outcome(mine: Run) -> dict[str, Any]:
    """From the database: what is told must be what is stored."""
    attempt = mine.attempt
    patiently(attempt.refresh_from_db, time.sleep)
    return {
        "job": str(attempt.job_id),
        "attempt": attempt.number,
        "state": attempt.state,
        "exit_code": attempt.exit_code,
        "verdict": attempt.verdict,
        "log": attempt.log_facts(),
        "last_lines": list(mine.last_lines),
    }
