"""Traces in the terminal: what is drawn, what is said where there is none, and how the commands end."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from jobs.models import Attempt, Job
from tests.trace_builder import Built, Try, of_job, stored, traced
from tracing.identity import trace_hex
from tracing.models import Span

from .conftest import Manage, client_of, make_job, make_worker
from .ended import ended

# A command closes its connection when it ends, and with it a transaction that a test would be in.
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _room() -> None:
    make_worker(slots=500)


def test_trace_draws_the_waterfall(manage: Manage) -> None:
    attempt = ended(failed=True)
    traced(attempt.job, pull=3.0)
    code, out, _ = manage("trace", str(attempt.job_id)[-8:])
    assert code == 0
    lines = out.splitlines()
    assert max(map(len, lines)) <= 140
    assert re.search(r"│0 +│2 s +│4 s", lines[3])
    by_name = {re.split(r"\s{2,}|[▏█]", line.strip("┃ "))[1].strip(): line for line in lines if re.search("[▏█]", line)}
    assert [*by_name][:5] == ["POST api/v1/jobs/", "job", "queue", "attempt", "place"]
    assert by_name["pull"].startswith("┃ engine")
    assert by_name["execute"].endswith("2.0 s failed")
    message = next(line for line in lines if "✗" in line)
    assert message.strip() == "✗ exit_code: It ended with 3."
    assert out.count("✗") == 1


def test_a_message_and_a_name_can_not_move_the_cursor(manage: Manage) -> None:
    attempt = ended()
    built = traced(attempt.job)
    Span.objects.filter(trace_id=built.trace_id, operation="execute").update(
        operation="\x1b[2Jx", service="\x1b]0;y\x07", status="failed", error_message="\x1b[31mred\r\nnext"
    )
    code, out, _ = manage("trace", str(attempt.job_id))
    assert (code, [c for c in out if not c.isprintable() and c != "\n"]) == (0, [])


def test_many_alike_are_folded_unless_all_are_asked_for(manage: Manage) -> None:
    built = traced(ended().job)
    more = Built(trace_id=built.trace_id, began=built.began, about={"model_id": None, "region": None})
    execute = built.named("execute")
    for number in range(300):
        more.span("batch", "trainer", 1 + number / 1000, 0.001, execute)
    stored(more)
    out = manage("trace", trace_hex(built.trace_id))[1]
    assert "+ 298 more, 1 ms each" in out
    assert "--all shows each span" in out
    everything = manage("trace", trace_hex(built.trace_id), "--all")[1]
    assert everything.count("batch") == 300


def test_trace_as_json_is_what_rest_answers(manage: Manage, root: User) -> None:
    attempt = ended()
    built = traced(attempt.job)
    rest = client_of(root).get(f"/api/v1/jobs/{attempt.job_id}/trace/").json()
    for text in (str(attempt.job_id), trace_hex(built.trace_id), str(built.trace_id)):
        code, out, _ = manage("trace", text, "--json")
        assert (code, json.loads(out)) == (0, rest)


def test_trace_says_why_there_is_none(manage: Manage) -> None:
    job = make_job()
    code, out, err = manage("trace", str(job.pk))
    assert (code, out) == (1, "")
    assert "ENABLE_DB_TRACING=true" in err
    code, out, err = manage("trace", str(job.pk), "--json")
    assert (code, json.loads(out)["trace_id"]) == (1, None)


@pytest.mark.parametrize("text", ["f" * 32, "zzzz", "abc", "' OR 1=1", "-"])
def test_trace_of_nothing_is_an_error_in_a_sentence(manage: Manage, text: str) -> None:
    code, out, err = manage("trace", text)
    assert (code, out) == (1, "")
    assert "Traceback" not in err


def history(name: str, good: int, bad: int) -> list[Attempt]:
    """Successes on one worker, then failures on another, with a slower pull."""
    found = []
    for number in range(good + bad):
        failed = number >= good
        attempt = ended(name=name, failed=failed, image=f"busybox:{1 + failed}", env={"TOKEN": f"s3cret{failed}"})
        worker = "run@bad" if failed else "run@good"
        Attempt.objects.filter(pk=attempt.pk).update(worker=worker)
        traced(Job.objects.get(pk=attempt.job_id), pull=4.0 if failed else 1.0)
        found.append(Attempt.objects.select_related("job").get(pk=attempt.pk))
    return found


def test_changes_names_what_differs_from_the_last_success(manage: Manage, root: User) -> None:
    runs = history("nightly", 6, 6)
    base, newest = runs[5], runs[-1]
    api = client_of(root)
    shown = api.get(f"/api/v1/jobs/{newest.job_id}/changes/").json()
    assert shown["compared_with"]["execution_id"] == base.pk
    changed = {change["field"]: (change["before"], change["after"]) for change in shown["spec"]}
    assert changed["image"] == ("busybox:1", "busybox:2")
    assert changed["env.TOKEN"] == (None, None)
    assert changed["ran on worker"] == ("run@good", "run@bad")
    phases = {(one["service"], one["operation"]): one for one in shown["phases"]["differences"]}
    pull = phases["engine", "pull"]
    assert (pull["seconds"], pull["usual_seconds"], pull["runs"]) == (4.0, 1.0, 6)
    assert (shown["attributes"]["failing"], shown["attributes"]["passing"]) == (6, 6)
    shared = {(one["attribute"], one["value"]) for one in shown["attributes"]["differences"]}
    assert {("worker", "run@bad"), ("image", "busybox:2")} <= shared
    assert "s3cret" not in json.dumps(shown)
    code, out, _ = manage("changes", str(newest.job_id))
    assert code == 0
    for told in ("env.TOKEN", "differs, not shown", "run@bad", "+3.0 s  ×4.0", "6 failing and 6 passing"):
        assert told in out, told
    assert "s3cret" not in out
    as_json = json.loads(manage("changes", str(newest.job_id), "--json")[1])
    assert as_json == shown


def test_the_same_job_without_a_name_runs_the_same_in_the_same_image(api: APIClient, alice: User) -> None:
    same, other, image = (
        ended(alice, command=["a"]), ended(alice, command=["b"]), ended(alice, command=["a"], image="alpine"),
    )  # fmt: skip
    named = ended(alice, name="x", command=["a"])
    job = ended(alice, command=["a"], failed=True).job
    shown = api.get(f"/api/v1/jobs/{job.pk}/changes/").json()
    assert shown["same"]["by"] == "project, image and command"
    assert shown["compared_with"]["execution_id"] == same.pk
    assert (shown["attributes"]["failing"], shown["attributes"]["passing"]) == (1, 1)
    assert {other.pk, image.pk, named.pk}.isdisjoint({shown["compared_with"]["execution_id"]})


def test_others_runs_are_nothing_to_compare_with(alice: User, bob: User) -> None:
    ended(alice, name="same")
    job = ended(bob, name="same", failed=True).job
    shown = client_of(bob).get(f"/api/v1/jobs/{job.pk}/changes/").json()
    assert (shown["compared_with"], shown["attributes"]["passing"]) == (None, 0)
    assert "no earlier success" in shown["note"]


def test_a_later_success_is_no_earlier_one(api: APIClient, alice: User) -> None:
    first = ended(alice, name="n", failed=True)
    ended(alice, name="n")
    assert api.get(f"/api/v1/jobs/{first.job_id}/changes/").json()["compared_with"] is None


def test_a_job_that_was_never_tried_has_changes_of_its_spec(api: APIClient, alice: User) -> None:
    ended(alice, name="n", priority=1)
    job = make_job(alice, name="n", priority=2)
    shown = api.get(f"/api/v1/jobs/{job.pk}/changes/").json()
    assert shown["spec"] == [{"field": "priority", "before": 1, "after": 2}]
    assert (shown["attempt"], shown["phases"]["differences"]) == (None, [])
    assert "not been tried" in shown["note"]


@pytest.mark.parametrize("query", ["last=0", "last=101", "days=0", "days=367", "attempt=0", "attempt=x", "window=7d"])
def test_changes_are_asked_for_rightly_or_not_at_all(api: APIClient, alice: User, query: str) -> None:
    answer = api.get(f"/api/v1/jobs/{make_job(alice).pk}/changes/?{query}")
    assert (answer.status_code, len(answer.json()["errors"])) == (400, 1)


def test_an_attempt_that_there_is_none_of_is_not_found(api: APIClient, alice: User, manage: Manage) -> None:
    job = ended(alice).job
    assert api.get(f"/api/v1/jobs/{job.pk}/changes/?attempt=2").status_code == 404
    code, _, err = manage("changes", str(job.pk), "--attempt", "2")
    assert (code, "it has 1" in err) == (1, True)
    assert manage("changes", str(job.pk), "--last", "0")[0] == 2


def test_compare_puts_two_runs_side_by_side(manage: Manage) -> None:
    one, other = ended(image="busybox:1"), ended(image="busybox:2")
    traced(one.job, run=5.0)
    traced(other.job, run=2.0)
    code, out, _ = manage("compare", str(one.job_id), str(other.job_id))
    assert code == 0
    assert re.search(r"image\s+busybox:2\s+busybox:1", out)
    assert re.search(r"execute\s+5\.0 s\s+2\.0 s\s+\+3\.0 s", out)
    shown = json.loads(manage("compare", str(one.job_id), str(other.job_id), "--json")[1])
    assert shown["compared_with"]["execution_id"] == other.pk


def test_old_runs_are_not_looked_at(api: APIClient, alice: User) -> None:
    old, job = ended(alice, name="n", days=8), ended(alice, name="n", failed=True).job
    Job.objects.filter(pk=old.job_id).update(created_at=datetime.now(UTC) - timedelta(days=8))
    for days, passing in ((7, 0), (30, 1)):
        shown = api.get(f"/api/v1/jobs/{job.pk}/changes/?days={days}").json()
        assert shown["attributes"]["passing"] == passing
    Job.objects.filter(pk=old.job_id).update(created_at=datetime.now(UTC) - timedelta(days=91))
    assert api.get(f"/api/v1/jobs/{job.pk}/changes/").json()["compared_with"] is None


def test_a_trace_is_drawn_however_deep_and_narrow(manage: Manage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    attempt = ended()
    built = of_job(str(attempt.job_id), [Try(execution_id=attempt.pk)])
    above = built.named("execute")
    for depth in range(300):
        above = built.span(f"level {depth}", "x", 1 + depth / 1000, 1.0, above)
    stored(built)
    code, out, _ = manage("trace", trace_hex(built.trace_id))
    assert (code, max(map(len, out.splitlines()))) == (0, 60)
    assert "level 299" in out
