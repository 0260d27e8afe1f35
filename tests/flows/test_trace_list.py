"""The list of traces page by page: each once, the newest first, whatever is written meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from jobs.traces.listing import MATCHES_MOST
from tests.trace_builder import Built, an_hour_ago, stored
from tracing.identity import trace_hex

from .conftest import client_of, make_job

API = "/api/v1/traces/"
FAILED = ("Boom", "it went off")
MOMENT = an_hour_ago()
NOBODYS: dict[str, Any] = {"model_id": None, "region": None}


@pytest.fixture
def job_id(alice: User) -> str:
    return str(make_job(alice).pk)


def trace_of(job_id: str, *minutes: float, trace_id: UUID | None = None) -> str:
    """Failed spans that began so many minutes before one moment; the trace's id."""
    built = Built(began=MOMENT, about={**NOBODYS, "job_id": job_id})
    built.trace_id = trace_id or built.trace_id
    for minute in minutes:
        built.span("step", "container", -60 * minute, 0.5, failed=FAILED)
    return trace_hex(stored(built).trace_id)


def pages(api: APIClient, query: str = "limit=3") -> Iterator[list[str]]:
    following: str | None = f"{API}?status=failed&{query}"
    while following:
        answer = api.get(following)
        assert answer.status_code == 200, answer.json()
        following = answer.json()["next"]
        yield [one["trace_id"] for one in answer.json()["results"]]


def test_every_trace_is_on_one_page_the_newest_first(api: APIClient, job_id: str) -> None:
    made = [trace_of(job_id, minute) for minute in range(10)]
    assert list(pages(api)) == [made[0:3], made[3:6], made[6:9], made[9:]]
    assert list(pages(api, "limit=5")) == [made[:5], made[5:]]
    assert list(pages(api, "limit=100")) == [made]
    assert api.get(f"{API}?status=failed").json()["previous"] is None


def test_a_trace_whose_spans_lie_between_those_of_others_is_not_listed_again(api: APIClient, job_id: str) -> None:
    made = [trace_of(job_id, *range(number, 40, 5)) for number in range(5)]
    assert list(pages(api, "limit=2")) == [made[0:2], made[2:4], made[4:]]


def test_spans_of_one_moment_stand_on_one_page_each(api: APIClient, job_id: str) -> None:
    made = [trace_of(job_id, 7, 7) for _ in range(7)]
    listed = list(pages(api, "limit=2"))
    assert [len(page) for page in listed] == [2, 2, 2, 1]
    assert [one for page in listed for one in page] == made[::-1]


def test_what_is_written_meanwhile_moves_nothing(api: APIClient, job_id: str) -> None:
    made = [trace_of(job_id, minute) for minute in range(9)]
    going = pages(api)
    assert next(going) == made[:3]
    trace_of(job_id, -30)  # newer than all
    trace_of(job_id, 2.5)  # where the pages part, as a container sends what began long ago
    trace_of(job_id, 6.5)
    trace_of(job_id, 0.5, trace_id=UUID(made[7]))  # one that is still to come
    assert [*going] == [made[3:6], made[6:]]


def test_who_sees_some_jobs_pages_through_their_own(alice: User, bob: User, job_id: str) -> None:
    theirs = str(make_job(bob).pk)
    made = [trace_of(owner, minute) for minute, owner in enumerate([job_id, theirs] * 4)]
    shared = UUID(made[0])
    trace_of(theirs, 20, trace_id=shared)  # their own span in another's trace
    assert list(pages(client_of(bob), "limit=2")) == [[made[1], made[3]], [made[5], made[7]], [made[0]]]
    assert list(pages(client_of(alice), "limit=9")) == [made[::2]]


def test_filters_and_the_window_hold_on_every_page(api: APIClient, job_id: str) -> None:
    made = [trace_of(job_id, minute) for minute in range(4)]
    trace_of(str(UUID(int=5)), 0.5)
    old = Built(began=an_hour_ago() - timedelta(days=2), about={**NOBODYS, "job_id": job_id})
    old.span("step", "container", 0, 1, failed=FAILED)
    stored(old)
    assert list(pages(api, f"limit=2&days=1&job={job_id}")) == [made[:2], made[2:]]
    assert list(pages(api, f"limit=4&days=3&job={job_id}")) == [made, [trace_hex(old.trace_id)]]


def test_a_page_ends_after_so_many_spans_and_the_next_goes_on(api: APIClient, job_id: str) -> None:
    crowd = trace_of(job_id, *(number / 1000 for number in range(MATCHES_MOST + 300)))
    behind = trace_of(job_id, 30)
    with CaptureQueriesContext(connection) as asked:
        listed = list(pages(api))
    assert [one for page in listed for one in page] == [crowd, behind]
    assert len(listed) == 2
    assert len(asked) < 120


def test_a_page_asks_the_database_no_more_far_down_the_list(api: APIClient, job_id: str) -> None:
    for minute in range(30):
        trace_of(job_id, minute, minute + 40)
    asked, following = [], f"{API}?status=failed&limit=10"
    while following:
        with CaptureQueriesContext(connection) as queries:
            following = api.get(following).json()["next"]
        asked.append(len(queries))
    assert len(asked) == 3
    assert max(asked) - min(asked) <= 2
