"""What `doctor` says of tracing: in order, and with a remedy where it is on and broken."""

from __future__ import annotations

import io
import json
import socket
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from towline.doctor.finding import Level, examine
from towline.doctor.tracing import CHECKS, judge_endpoint
from tracing.models import Writer

from .test_trace_health import make_span


@pytest.fixture
def on(settings: Any) -> None:
    settings.TOWLINE = settings.TOWLINE.model_copy(update={"ENABLE_DB_TRACING": True})


def said() -> list[tuple[Level, str, str]]:
    return [(finding.level, finding.detail, finding.remedy) for finding in examine(CHECKS)]


def test_where_it_is_off_that_is_one_line_and_no_complaint() -> None:
    assert said() == [(Level.OK, "off (ENABLE_DB_TRACING)", "")]
    make_span()
    assert said()[0][1].endswith("1 spans are kept from before")


def test_lines_come_in_order_and_all_is_well(on: None) -> None:
    make_span(created_at=timezone.now(), service="engine")
    beginnings = (
        "on: the table",
        "the database answers",
        "trace_spans has 1 spans of 1 traces",
        "",
        "0 spans written",
        "in the",
    )
    found = said()
    assert [detail.startswith(begin) for (_, detail, _), begin in zip(found, beginnings, strict=True)] == [True] * 6
    assert "engine 1 (0 failed, 0 open, 100 ms on average)" in found[-1][1]


def test_a_table_that_is_not_there_is_a_failure_with_its_remedy(on: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE trace_spans RENAME TO elsewhere")
    try:
        assert said()[-1] == (Level.FAILED, "there is no table trace_spans", "Run `manage.py migrate`.")
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE elsewhere RENAME TO trace_spans")


def test_views_and_functions_that_are_not_there_are_a_failure(on: None) -> None:
    if connection.vendor != "postgresql":
        assert "Python answers" in said()[3][1]
        return
    with connection.cursor() as cursor:
        cursor.execute("DROP VIEW IF EXISTS trace_spans_health")
    level, detail, remedy = said()[3]
    assert (level, "trace_spans_health" in detail, remedy) == (Level.FAILED, True, "Run `manage.py migrate`.")


def test_dropped_spans_and_silent_writers_are_warned_of_by_name(on: None) -> None:
    ago = timezone.now() - timedelta(minutes=10)
    Writer.objects.create(id=uuid.uuid4(), process="run one 17", seen_at=ago, written=5, dropped=3)
    warnings = [detail for level, detail, _ in said() if level is Level.WARNING]
    assert "5 spans written, 3 dropped" in warnings[0]
    assert warnings[1].startswith("run one 17 is silent since")


def test_an_endpoint_where_nobody_listens_is_warned_of() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        assert judge_endpoint(url).level is Level.OK
    assert judge_endpoint(url).level is Level.WARNING


def test_the_command_has_the_lines_as_json_too(on: None) -> None:
    out = io.StringIO()
    with pytest.raises(SystemExit):
        call_command("doctor", "--json", stdout=out)
    told = [each for each in json.loads(out.getvalue())["findings"] if each["name"] == "trace-health"]
    assert [each["detail"] for each in told] == [detail for _, detail, _ in said()]
