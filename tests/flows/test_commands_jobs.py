"""The commands that read and change jobs, on a database without any worker."""

from __future__ import annotations

import json
import uuid
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from knox.auth import TokenAuthentication
from rest_framework.test import APIRequestFactory

from jobs.logs.store import Position, append
from jobs.models import Attempt, Job, Project
from jobs.moves import move
from jobs.services import submit
from jobs.spec import parse_spec
from jobs.states import AttemptState, JobState
from jobs.verdicts import Verdict

from .conftest import Manage

# A command closes its connection when it ends, and with it a transaction that a test would be in.
pytestmark = pytest.mark.django_db(transaction=True)


def stored(name: str = "", **spec: object) -> Job:
    return submit(parse_spec({"image": "towline/demo:1", "name": name, **spec}), None)[0]


def failed(name: str) -> Job:
    """One that ran, wrote two lines and failed."""
    job = stored(name, command=["sh", "-c", "exit 3"])
    move(job, JobState.ASSIGNED, attempts_count=1)
    attempt = Attempt.objects.create(job=job, number=1, worker="run@a", runtime="process")
    append(attempt, 0, Position(), [(b"one\n", "stdout", 10**18), (b"two\n", "stderr", 10**18)], "c")
    verdict = Verdict("exit_code", "It ended with exit code 3.", ("exit code: 3",), "Mend it.")
    move(attempt, AttemptState.FAILED, exit_code=3, verdict=verdict.as_json())
    move(job, JobState.FAILED, exit_code=3, verdict=verdict.as_json(), verdict_code=verdict.code)
    return Job.objects.get(pk=job.pk)


def test_submit_prints_the_id_and_nothing_else(manage: Manage) -> None:
    code, out, _ = manage("submit", "towline/demo:1", "--name", "hi", "--", "echo", "--name", "not-mine")
    job = Job.objects.get(name="hi")
    assert (code, out) == (0, f"{job.pk}\n")
    assert job.spec["command"] == ["echo", "--name", "not-mine"]


def test_every_option_reaches_the_spec(manage: Manage, tmp_path: object) -> None:
    options = (
        "--env A=1 --env B=x=y --label team=ml --require disk=ssd --arch amd64 --region eu --cpus 0.5 --memory 64Mi "
        "--disk 1Gi --gpus 1 --pids 9 --shm 8Mi --timeout 5 --start-timeout 6 --queue-timeout 7 --idle-timeout 8 "
        "--grace 2 --retries 2 --retry-on oom_killed --priority 7 --run-at 2040-01-01T00:00:00Z --network none "
        "--read-only --user 1:1 --working-dir /tmp --entrypoint sh --runtime docker"
    )
    assert manage("submit", "towline/demo:1", *options.split(), "--", "-c", "true")[0] == 0
    spec = Job.objects.get().spec
    expected = {
        "env": {"A": "1", "B": "x=y"}, "labels": {"team": "ml"}, "requires": {"disk": "ssd"}, "arch": "amd64",
        "region": "eu", "priority": 7, "network": "none", "read_only": True, "user": "1:1", "working_dir": "/tmp",
        "entrypoint": ["sh"], "command": ["-c", "true"], "runtime": "docker", "run_at": "2040-01-01T00:00:00Z",
        "resources": {"cpus": 0.5, "memory": "64Mi", "disk": "1Gi", "gpus": 1, "pids": 9, "shm": "8Mi"},
        "timeouts": {"queue": 7.0, "start": 6.0, "run": 5.0, "idle": 8.0, "grace": 2.0},
    }  # fmt: skip
    assert {key: spec[key] for key in expected} == expected
    assert (spec["retry"]["max_attempts"], spec["retry"]["on"]) == (3, ["oom_killed"])


def test_options_override_the_spec_file(manage: Manage, tmp_path: object) -> None:
    file = f"{tmp_path}/job.json"
    with open(file, "w") as opened:  # noqa: PTH123
        json.dump({"image": "a:1", "name": "file", "resources": {"cpus": 2, "memory": "64Mi"}}, opened)
    assert manage("submit", "--spec", file, "--name", "option", "--cpus", "3")[0] == 0
    job = Job.objects.get()
    assert (job.name, job.image) == ("option", "a:1")
    assert (job.spec["resources"]["cpus"], job.spec["resources"]["memory"]) == (3, "64Mi")


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--memory", "lots", "--", "true"], "resources.memory: "),
        (["--project", "nope"], "project: no project 'nope'"),
        (["--owner", "nobody-here"], "--owner: no user"),
        (["--env", "NOT_SET_ANYWHERE"], "write it as NOT_SET_ANYWHERE=VALUE"),
        (["--script", "/nonexistent"], "--script: can't read /nonexistent"),
        (["--retries", "1", "--max-attempts", "2"], "not both"),
    ],
)
def test_what_is_refused_is_said_with_exit_code_2_and_stores_nothing(
    manage: Manage, argv: list[str], said: str
) -> None:
    code, _, err = manage("submit", "towline/demo:1", *argv)
    assert (code, said in err, "Traceback" in err) == (2, True, False), err
    assert not Job.objects.exists()


def test_the_same_idempotency_key_gives_the_same_job(manage: Manage) -> None:
    User.objects.create_user("alice")
    argv = ("submit", "towline/demo:1", "--owner", "alice", "--idempotency-key", "k", "--")
    assert manage(*argv, "true")[1] == manage(*argv, "true")[1]
    code, _, err = manage(*argv, "false")
    assert (code, "was given to another job" in err) == (2, True)


def test_jobs_are_listed_and_filtered_as_over_rest(manage: Manage) -> None:
    stored("waits", labels={"team": "ml"})
    bad = failed("broke")
    _, out, _ = manage("jobs")
    assert str(bad.pk)[-8:] in out
    assert "✗ failed" in out
    assert "exit_code: It ended with exit code 3." in out
    for argv in (["--state", "queued"], ["--label", "team=ml"], ["-q", "wait"], ["--name", "waits"]):
        assert [row["name"] for row in json.loads(manage("jobs", "--json", *argv)[1])] == ["waits"], argv
    assert [row["name"] for row in json.loads(manage("jobs", "--json", "--verdict", "exit_code")[1])] == ["broke"]
    assert len(json.loads(manage("jobs", "--json", "--limit", "1")[1])) == 1


def test_a_filter_that_means_nothing_is_an_error(manage: Manage) -> None:
    assert manage("jobs", "--verdict", "bad-luck")[0] == 2
    code, _, err = manage("jobs", "--label", "team")
    assert (code, "write it as K=V" in err) == (2, True)


def test_a_job_has_one_page_with_all_that_is_known(manage: Manage) -> None:
    job = failed("broke")
    _, out, _ = manage("job", str(job.pk))
    for text in ("✗ failed", "broke", "exit_code (user)", "It ended with exit code 3.", "· exit code: 3", "→ Mend it."):
        assert text in out
    for text in ("where the time went", "waiting", "attempts", "time-line", "submitted", f"manage.py logs {job.pk}"):
        assert text in out
    shown = json.loads(manage("job", str(job.pk), "--json")[1])
    assert shown["id"] == str(job.pk)
    assert [attempt["number"] for attempt in shown["attempts"]] == [1]
    assert shown["events"][0]["kind"] == "submitted"


def test_a_page_does_not_show_values_of_variables_or_control_characters(manage: Manage) -> None:
    job = stored("evil\x1b[2Jname", env={"TOKEN": "s3cret"})
    out = manage("job", str(job.pk))[1] + manage("jobs")[1]
    assert "s3cret" not in out
    assert "\x1b" not in out
    assert "TOKEN" in out


def test_a_job_is_found_by_the_beginning_or_the_end_of_its_id(manage: Manage) -> None:
    job = failed("broke")
    hexadecimal = job.pk.hex
    for text in (str(job.pk), hexadecimal, hexadecimal[:20], str(job.pk)[:20], hexadecimal[-8:], hexadecimal[-14:]):
        assert manage("logs", text)[1] == "one\n", text


def test_an_ambiguous_id_is_answered_with_the_candidates(manage: Manage) -> None:
    end = "abcdef012345"
    project = Project.objects.get(name="default")
    for number, name in enumerate(("one", "two")):
        Job.objects.create(id=uuid.UUID(f"0000000{number}-0000-7000-8000-{end}"), name=name, project=project, spec={})
    code, _, err = manage("job", end)
    assert code == 1
    assert f"00000000-0000-7000-8000-{end}" in err
    assert f"00000001-0000-7000-8000-{end}" in err
    assert "one" in err


@pytest.mark.parametrize(
    ("text", "said"), [("xyz!", "is no job id"), ("ab", "too short"), ("ffffffff", "no job has the id")]
)
def test_an_id_that_names_nothing_says_so(manage: Manage, text: str, said: str) -> None:
    code, _, err = manage("job", text)
    assert (code, said in err) == (1, True)


def test_cancel_is_for_several_and_says_of_each_what_it_did(manage: Manage) -> None:
    waits, over = stored("waits"), failed("broke")
    code, out, _ = manage("cancel", str(waits.pk), str(over.pk))
    assert code == 0
    assert out == f"{waits.pk}  cancelled, it never started\n{over.pk}  is over already: failed\n"
    waits.refresh_from_db()
    assert waits.state == JobState.CANCELLED
    assert waits.cancel_requested_by.endswith("command)")


def test_retry_is_for_those_that_failed_and_says_so_of_others(manage: Manage) -> None:
    waits, over = stored("waits"), failed("broke")
    code, out, err = manage("retry", str(over.pk), str(waits.pk))
    assert (code, out) == (1, f"{over.pk}  queued\n{waits.pk}  queued\n")
    assert f"{waits.pk}: The job is queued: only a failed or cancelled one is tried again." in err


def test_submit_passes_order_and_limits_on_and_says_when_nobody_can_run_it(manage: Manage) -> None:
    first = stored("first")
    options = ("--after", str(first.pk), "--concurrency-key", "db", "--memory-factor", "2", "--gpus", "9")
    code, out, err = manage("submit", "busybox", *options)
    job = Job.objects.get(pk=out.strip())
    assert (code, "it waits" in err) == (0, False), err
    assert [link.on_id for link in job.dependencies.all()] == [first.pk]
    assert (job.spec["concurrency"]["key"], job.spec["retry"]["memory_factor"]) == ("db", 2)
    assert "No worker is registered" in manage("submit", "busybox")[2]


def test_nothing_is_cancelled_when_one_id_is_wrong(manage: Manage) -> None:
    waits = stored("waits")
    assert manage("cancel", str(waits.pk), "ffffffff")[0] == 1
    waits.refresh_from_db()
    assert waits.state == JobState.QUEUED


def test_a_token_is_all_that_token_prints_and_it_opens_the_door(manage: Manage) -> None:
    assert manage("token", "alice")[0] == 1
    code, out, _ = manage("token", "alice", "--create")
    request = APIRequestFactory().get("/", headers={"authorization": f"Bearer {out.strip()}"})
    user, _ = TokenAuthentication().authenticate(request)
    assert (code, user.username, out.count("\n")) == (0, "alice", 1)
    assert not user.has_usable_password()
    assert not user.is_superuser


def test_a_user_who_is_not_active_gets_no_token(manage: Manage) -> None:
    User.objects.create_user("bob", is_active=False)
    for argv in (["bob"], ["bob", "--create"]):
        code, out, err = manage("token", *argv)
        assert (code, out, "not active" in err) == (1, "", True)


def test_reconcile_says_what_it_did(manage: Manage) -> None:
    assert manage("reconcile")[1] == "nothing to put right\n"
    job = stored("waits")
    Job.objects.filter(pk=job.pk).update(cancel_requested_at=job.created_at - timedelta(seconds=1))
    assert manage("reconcile")[1] == "1 cancelled\n"


def test_a_database_without_tables_is_said_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    from jobs.terminal.command import database_complaint

    assert "manage.py migrate" in database_complaint(Exception("no such table: jobs_job"))  # type: ignore[arg-type]
    assert "manage.py doctor" in database_complaint(Exception("connection refused"))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "name", ["submit", "jobs", "job", "logs", "cancel", "retry", "workers", "reconcile", "suite", "doctor", "token"]
)
def test_every_command_explains_itself_with_examples(
    manage: Manage, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    code, out, _ = manage(name, "--help")
    explained, _, examples = out.partition("examples:\n")
    assert (code, examples.startswith(f"  manage.py {name}")) == (0, True)
    assert max(map(len, explained.splitlines())) <= 80
