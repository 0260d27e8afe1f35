"""What a user may send to break things for others: each is answered quickly, and with a 4xx."""

from __future__ import annotations

import base64
import time

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from workers.placing import place_waiting

from .conftest import make_job

JOBS = "/api/v1/jobs/"
SPEC = {"image": "busybox:1.36", "command": ["true"]}


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "1999-12-31T23:59:59Z"])
def test_a_time_that_a_database_can_not_give_back_is_refused(api: APIClient, at: str) -> None:
    """PostgreSQL takes a year 0 or 10000: every later reading of the row would fail, the placement's first of all."""
    answer = api.post(JOBS, {**SPEC, "run_at": at})
    assert (answer.status_code, set(answer.json()["errors"])) == (400, {"run_at"})
    place_waiting()


def test_naming_a_key_that_is_there_twice_does_not_take_long(api: APIClient) -> None:
    body = "{" + ",".join(f'"k{n}":0' for n in range(60_000)) + ',"last":1,"last":2}'
    began = time.monotonic()
    answer = api.post(JOBS, body.encode(), content_type="application/json")
    assert (answer.status_code, "'last'" in answer.json()["detail"]) == (400, True)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("ordering", ["", "&ordering=priority", "&ordering=name"])
@pytest.mark.parametrize("position", [b"p=soon", b"p=%00", b"p=99999999999999999999&o=1"])
def test_a_made_up_cursor_is_no_mistake_of_ours(api: APIClient, alice: User, position: bytes, ordering: str) -> None:
    make_job(alice)
    answer = api.get(f"{JOBS}?cursor={base64.b64encode(position).decode()}{ordering}")
    assert answer.status_code in (200, 404)


@pytest.mark.parametrize(
    "query",
    [
        "label=a:%00&label=b:c",
        "label=%00:a&label=b:c",
        "created_after=0001-01-01T00:00:00%2B14:00",
        "created_before=9999-12-31T23:59:59-14:00",
    ],
)
def test_a_filter_that_no_database_can_compare_is_an_error(api: APIClient, alice: User, query: str) -> None:
    make_job(alice)
    assert api.get(f"{JOBS}?{query}").status_code == 400
