"""The demo shows the trace of its job when all of it is there."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime

import pytest
from django.db import connection

from tests.trace_builder import traced
from towline.stack.demo import whole_trace
from tracing.models import Span

from .conftest import make_job
from .ended import ended


def test_a_whole_trace_is_shown_at_once() -> None:
    job = ended().job
    built = traced(job)
    began = time.monotonic()
    assert len(whole_trace(job).rows) == len(built.rows)
    assert time.monotonic() - began < 5


def test_a_job_that_is_not_traced_is_not_waited_for() -> None:
    began = time.monotonic()
    assert whole_trace(make_job()).rows == []
    assert time.monotonic() - began < 5


def test_a_trace_that_is_never_whole_is_shown_as_it_is() -> None:
    job = ended().job
    built = traced(job)
    Span.objects.filter(operation="remove").update(completed_at=None)
    assert len(whole_trace(job, seconds=0.3).rows) == len(built.rows)


@pytest.mark.django_db(transaction=True)
def test_a_span_that_is_open_is_waited_for() -> None:
    job = ended().job
    traced(job)
    Span.objects.filter(operation="remove").update(completed_at=None)
    closing = threading.Timer(0.5, _close)
    closing.start()
    assert all(row.completed_at for row in whole_trace(job, seconds=30).rows)
    closing.join()


def _close() -> None:
    Span.objects.filter(operation="remove").update(completed_at=datetime.now(UTC))
    connection.close()
