"""Searching logs: every line that matches and is to be seen, wherever it lies; a miss reads next to nothing."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from rest_framework.test import APIClient

from jobs.logs.packing import pack_for
from jobs.logs.query import Query
from jobs.logs.search import Searched, Wanted, search
from jobs.models import Attempt, Job

from .conftest import client_of, make_attempt, make_worker
from .test_packing import sealed

PATH = "/api/v1/logs/search/"
SECOND = 1_000_000_000
AT = int(datetime(2030, 1, 31, 8, tzinfo=UTC).timestamp()) * SECOND


def lines(*texts: str, stream: str = "stdout") -> list[tuple[bytes, str, int]]:
    return [(f"{text}\n".encode(), stream, AT + n * SECOND) for n, text in enumerate(texts)]


@pytest.fixture
def logs(alice: User, bob: User) -> list[Attempt]:
    """Three of alice's, the first two packed; one of bob's."""
    make_worker(slots=9)
    first = sealed(lines("one", "a needle", "three"), lines("Needle in err", stream="stderr"), by=alice)
    second = sealed(lines("nothing", "here"), by=alice)
    assert pack_for(5, 0) == 2
    third = sealed(lines("a needle", "and a needle", "<b>needle</b>"), by=alice)
    fourth = sealed(lines("bob's needle"), by=bob)
    return [first, second, third, fourth]


def found(client: APIClient, **asked: Any) -> list[tuple[str, int, str]]:
    answer = client.get(PATH, asked)
    assert answer.status_code == 200, answer.content
    return [(hit["job"], hit["line"], hit["text"]) for hit in answer.json()["results"]]


def test_every_visible_line_the_newest_attempt_first(alice: User, bob: User, logs: list[Attempt]) -> None:
    first, _, third, fourth = (str(attempt.job_id) for attempt in logs)
    assert found(client_of(alice), q="needle") == [
        (third, 1, "a needle"), (third, 2, "and a needle"), (third, 3, "<b>needle</b>"), (first, 2, "a needle"),
    ]  # fmt: skip
    assert found(client_of(bob), q="needle") == [(fourth, 1, "bob's needle")]
    assert found(client_of(alice), q="nEEdle", ignore_case=1, job=first) == [
        (first, 2, "a needle"),
        (first, 4, "Needle in err"),
    ]
    assert found(client_of(alice), q="^a n.*e$", regex="true") == [(third, 1, "a needle"), (first, 2, "a needle")]
    assert found(client_of(alice), q="e", stream="stderr") == [(first, 4, "Needle in err")]
    assert found(client_of(alice), q="one", job=first, attempt=1) == [(first, 1, "one")]
    assert found(client_of(alice), q="one", job=first, attempt=2) == []


def test_page_by_page_it_is_the_same(alice: User, logs: list[Attempt]) -> None:
    client, seen, address = client_of(alice), [], f"{PATH}?q=needle&limit=1"
    for _ in range(9):
        page = client.get(address).json()
        seen += [(hit["job"], hit["line"]) for hit in page["results"]]
        if not page["next"]:
            break
        address = page["next"]
    assert seen == [hit[:2] for hit in found(client, q="needle")]


def test_times_and_filters_bound_it(alice: User, logs: list[Attempt]) -> None:
    Attempt.objects.update(created_at=datetime(2030, 1, 31, 8, tzinfo=UTC), finished_at=None)
    third = str(logs[2].job_id)
    Job.objects.filter(pk=third).update(name="known", labels={"team": "ml"})
    client = client_of(alice)
    assert found(client, q="needle", job=third, since="2030-01-31T08:00:01Z", until="2030-01-31T08:00:02Z") == [
        (third, 2, "and a needle")
    ]
    assert found(client, q="needle", until="2030-01-31T08:00:00Z") == []
    assert {hit[0] for hit in found(client, q="needle", name="known", label="team:ml", project="default")} == {third}
    assert found(client, q="needle", state="failed") == []


def test_a_stream_of_hits_ends_with_what_was_done(alice: User, logs: list[Attempt]) -> None:
    answer = client_of(alice).get(f"{PATH}?q=needle&limit=2", HTTP_ACCEPT="application/x-ndjson")
    *hits, end = [json.loads(line) for line in b"".join(answer).splitlines()]
    assert [hit["line"] for hit in hits] == [1, 2]
    assert (end["end"], end["matches"], end["more"]) == (True, 2, True)
    rest = client_of(alice).get(f"{PATH}?q=needle&cursor={end['next']}", HTTP_ACCEPT="application/x-ndjson")
    *hits, end = [json.loads(line) for line in b"".join(rest).splitlines()]
    assert [hit["line"] for hit in hits] == [3, 2] and end["more"] is False and end["next"] is None


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({}, "q"), ({"q": ""}, "q"), ({"q": "("  , "regex": 1}, "q"), ({"q": "a\nb"}, "q"), ({"q": "x", "limit": 0}, "limit"),
        ({"q": "x", "since": "noon"}, "since"), ({"q": "x", "stream": "both"}, "stream"), ({"q": "x", "job": "7"}, "job"),
        ({"q": "x", "cursor": "1"}, "cursor"), ({"q": "x", "regex": "perhaps"}, "regex"), ({"q": "x", "state": "odd"}, "state"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(alice: User, asked: dict[str, Any], field: str) -> None:
    answer = client_of(alice).get(PATH, asked)
    assert answer.status_code == 400 and field in answer.json()["errors"]
    assert "unknown filter" in client_of(alice).get(PATH, {"q": "x", "colour": "red"}).json()["detail"]


def test_a_miss_reads_next_to_nothing() -> None:
    attempt = sealed(*([(b"%06d request took %d ms\n" % (n, n % 977), "stdout", AT)] * 40 for n in range(400)))
    assert pack_for(5, 0) == 1
    searched = Searched()
    wanted = Wanted(Query("connection reset by peer"))
    assert not [hit for hit in search(Attempt.objects.filter(pk=attempt.pk), wanted, searched) if hit]
    assert searched.bytes == 0 and searched.passed_over_bytes == attempt.log_bytes


def test_a_log_that_the_storage_does_not_give_is_named(alice: User, logs: list[Attempt], log_storage: Path) -> None:
    from jobs.logs import vault

    vault._opened.cache_clear()
    for file in log_storage.rglob(f"*{logs[0].job_id}*"):
        file.unlink()
    page = client_of(alice).get(PATH, {"q": "needle"}).json()
    assert len(page["results"]) == 3
    assert str(logs[0].job_id) in page["searched"]["unreadable"][0]


def test_grep(alice: User, logs: list[Attempt], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        call_command("grep", "needle", "--limit", "2")
    shown = capsys.readouterr().out.splitlines()
    assert end.value.code == 0 and len(shown) == 2 and "bob's needle" in shown[0]
    with pytest.raises(SystemExit) as end:
        call_command("grep", "--json", "-i", "NEEDLE IN", "--project", "default")
    (hit,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert end.value.code == 0 and hit["line"] == 4
    with pytest.raises(SystemExit) as end:
        call_command("grep", "-E", "no such [0-9]+")
    assert end.value.code == 1


def test_a_line_of_a_running_job_is_found(alice: User) -> None:
    from .test_logs import write

    attempt = make_attempt(alice)
    write(attempt, lines("still going"))
    assert found(client_of(alice), q="still") == [(str(attempt.job_id), 1, "still going")]
