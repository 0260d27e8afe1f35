"""Secrets: who may keep and use them, that nobody reads a value back, and what an attempt is given."""

from __future__ import annotations

import json
from io import BytesIO, StringIO, TextIOWrapper
from pathlib import Path
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from jobs.logs.reader import read_lines
from jobs.models import Attempt, Event, Job, Project, Secret, installation_key
from jobs.secrets.keeping import make, replace
from jobs.secrets.sealing import Unreadable, seal, unseal
from jobs.secrets.values import check_value
from workers import claims
from workers.drivers.process.driver import ProcessDriver
from workers.runner import Run
from workers.starting import Starter

from .conftest import client_of, make_attempt

SECRETS, JOBS = "/api/v1/secrets/", "/api/v1/jobs/"
SPEC = {"image": "busybox", "command": ["true"]}
HUSH = "hush-hush/money+bag"
KEYS = ("first key of forty characters or so, yes", "second key of forty characters or so, no")


def secret(name: str = "API_KEY", value: str = HUSH, project: str = "default") -> Secret:
    return make(Project.objects.get(name=project), name, check_value(value), None)


def attempt_of(**spec: Any) -> Attempt:
    found = claims.claim(make_attempt(**spec).pk, "run@one", "boot-run@one")
    assert found is not None
    return found


def everything_stored() -> str:
    """Every column of every table that says anything of jobs."""
    with connection.cursor() as cursor:
        rows = []
        for table in connection.introspection.table_names():
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            rows += cursor.fetchall()
    return repr([[bytes(value) if isinstance(value, memoryview) else value for value in row] for row in rows])


def test_a_secret_is_made_listed_replaced_and_deleted_and_never_shown(api: APIClient) -> None:
    made = api.post(SECRETS, {"name": "API_KEY", "value": HUSH})
    assert made.status_code == 201
    shown = made.json()
    assert set(shown) == {"id", "project", "name", "masked", "created_by", "created_at", "updated_at", "last_used_at"}
    assert (shown["project"], shown["name"], shown["masked"], shown["created_by"]) == (
        "default",
        "API_KEY",
        True,
        "alice",
    )
    its = f"{SECRETS}{shown['id']}/"
    again = api.put(its, {"value": "another"})
    assert (again.status_code, unseal(Secret.objects.get().sealed)) == (200, "another")
    assert api.patch(its, {"value": "x"}).json()["masked"] is False
    assert api.get(its).json()["updated_at"] > shown["updated_at"]
    assert [one["name"] for one in api.get(SECRETS, {"project": "default"}).json()["results"]] == ["API_KEY"]
    assert api.get(SECRETS, {"name": "OTHER"}).json()["results"] == []
    assert HUSH not in made.content.decode() + again.content.decode() + api.get(SECRETS).content.decode()
    assert (api.delete(its).status_code, api.get(its).status_code) == (204, 404)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": "A-B"}, "name"), ({"name": "x" * 129}, "name"), ({"name": "1A"}, "name"), ({"name": "A\n"}, "name"),
        ({"value": ""}, "value"), ({"value": "hush\0hush"}, "value"), ({"value": "hush" * 20_000}, "value"),
        ({"value": "hush\ud800"}, "value"), ({"value": None}, "value"), ({"value": ["hush"]}, "value"),
        ({"project": "moon"}, "project"), ({"bogus": "hush"}, "bogus"), ({"value": {"hush": 1}}, "value"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_one_is_named_and_the_value_is_not_repeated(
    api: APIClient, change: dict[str, Any], field: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer = api.post(SECRETS, json.dumps({"name": "A", "value": "hush", **change}), content_type="application/json")
    assert (answer.status_code, set(answer.json()["errors"])) == (400, {field})
    assert "hush" not in answer.content.decode() + caplog.text
    assert not Secret.objects.exists()


def test_a_name_is_taken_once_a_project_and_a_mistake_changes_nothing(api: APIClient) -> None:
    its = f"{SECRETS}{secret().pk}/"
    answer = api.post(SECRETS, {"name": "API_KEY", "value": "two"})
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:towline:problem:secret-exists")
    assert set(api.put(its, {"name": "OTHER", "value": "v"}).json()["errors"]) == {"name"}
    assert set(api.patch(its, {}).json()["errors"]) == {"value"}
    assert unseal(Secret.objects.get().sealed) == HUSH


def test_only_who_may_submit_to_a_project_has_to_do_with_its_secrets(api: APIClient, bob: User, root: User) -> None:
    Project.objects.create(name="bobs").members.add(bob)
    its = f"{SECRETS}{secret('KEY', project='bobs').pk}/"
    answers = [api.get(its), api.put(its, {"value": "v"}), api.delete(its)]
    assert [answer.status_code for answer in answers] == [404] * 3
    assert api.get(SECRETS).json()["results"] == []
    assert set(api.post(SECRETS, {"name": "A", "project": "bobs", "value": "v"}).json()["errors"]) == {"project"}
    assert APIClient().get(SECRETS).status_code == 401
    for who in (bob, root):
        assert client_of(who).get(its).status_code == 200


def test_a_job_names_secrets_and_reads_back_with_the_names(api: APIClient) -> None:
    secret(), secret("DB_PASSWORD")
    answer = api.post(JOBS, {**SPEC, "secrets": ["API_KEY", {"name": "DB_PASSWORD", "env": "PGPASSWORD"}]})
    named = [{"name": "API_KEY", "env": "API_KEY"}, {"name": "DB_PASSWORD", "env": "PGPASSWORD"}]
    assert (answer.status_code, answer.json()["secrets"]) == (201, named)
    assert (Job.objects.get().spec["secrets"], api.get(f"{JOBS}{answer.json()['id']}/").json()["secrets"]) == (
        named,
        named,
    )


def test_a_secret_that_the_project_does_not_have_is_refused_with_the_remedy(api: APIClient, bob: User) -> None:
    Project.objects.create(name="bobs").members.add(bob)
    secret("THEIRS", project="bobs"), secret()
    answer = api.post(JOBS, {**SPEC, "secrets": ["API_KEY", "THEIRS"]})
    assert (answer.status_code, set(answer.json()["errors"])) == (400, {"secrets.1"})
    assert "manage.py secret set THEIRS" in answer.json()["errors"]["secrets.1"][0]
    assert not Job.objects.exists()


def test_an_attempt_has_them_in_its_environment_and_nothing_stored_has(driver: ProcessDriver) -> None:
    secret(), secret("TWO", "lines\nof two")
    say = 'echo "$API_KEY" "$OTHER"; echo "$TWO" >&2; printf %s "$API_KEY"; exit 3'
    run = Run(
        attempt_of(command=["sh", "-c", say], secrets=["API_KEY", "TWO", {"name": "API_KEY", "env": "OTHER"}]), driver
    )
    how = run.go()
    attempt = Attempt.objects.get()
    out, err = (b"".join(line.data for line in _lines(attempt) if line.stream == one) for one in ("stdout", "stderr"))
    assert (out, err) == (b"*** ***\n***", b"***\n***\n")
    assert (how.exit_code, bytes(attempt.secrets)) == (3, b"")
    assert "***" in run.last_lines
    assert HUSH not in everything_stored()
    used = Secret.objects.get(name="API_KEY")
    assert used.last_used_at is not None and used.updated_at < used.last_used_at


def _lines(attempt: Attempt) -> list[Any]:
    return list(read_lines(attempt.pk))


def test_what_is_told_of_an_end_is_masked_too(driver: ProcessDriver) -> None:
    """The engine quotes the command; a time-out quotes command lines and the last output."""
    secret()
    how = Run(attempt_of(command=[f"/no/{HUSH}"], secrets=["API_KEY"]), driver).go()
    assert how.verdict is not None and how.verdict.code == "command_not_found"
    timed = ["sh", "-c", 'echo "$API_KEY"; sleep 60; : $0', HUSH]
    how = Run(attempt_of(command=timed, secrets=["API_KEY"], timeouts={"run": 0.5, "grace": 0}), driver).go()
    assert how.verdict is not None and how.verdict.code == "timeout_run"
    assert any("last output: ***" in one for one in how.verdict.evidence)
    assert any("was running" in one and "***" in one for one in how.verdict.evidence)
    told = repr([*Event.objects.values_list("data", flat=True), *Attempt.objects.values_list("verdict", flat=True)])
    assert HUSH not in told


def test_one_that_was_deleted_meanwhile_ends_the_job_with_its_name(driver: ProcessDriver) -> None:
    secret()
    attempt = attempt_of(secrets=["API_KEY"])
    Secret.objects.all().delete()
    how = Run(attempt, driver).go()
    assert how.verdict is not None
    assert (how.verdict.code, how.verdict.kind) == ("secret_missing", "config")
    assert "API_KEY" in how.verdict.evidence[0]
    assert not list(driver.root.iterdir())


def test_who_has_left_the_project_gets_its_secrets_no_more(driver: ProcessDriver, alice: User, bob: User) -> None:
    project = Project.objects.create(name="closed")
    project.members.add(alice, bob)
    secret(project="closed")
    attempt = attempt_of(owner=alice, project="closed", secrets=["API_KEY"])
    project.members.remove(alice)
    how = Run(attempt, driver).go()
    assert how.verdict is not None and how.verdict.code == "policy_denied"


def test_more_than_an_environment_holds_is_refused(driver: ProcessDriver) -> None:
    names = [secret(f"BIG_{n}", "x" * 65536).name for n in range(17)]
    how = Run(attempt_of(secrets=names), driver).go()
    assert how.verdict is not None and how.verdict.code == "invalid_spec"
    assert "x" * 100 not in everything_stored()


def test_who_goes_on_with_an_attempt_masks_what_it_was_given(driver: ProcessDriver) -> None:
    """Though the secret was replaced, and the key changed, while it ran."""
    made = secret()
    wait = 'until [ -e go ]; do sleep 0.02; done; echo "$API_KEY"'
    first = Run(attempt_of(command=["sh", "-c", wait], secrets=["API_KEY"]), driver)
    handle = Starter(first.grip).start()
    replace(made, check_value("quite-another"))
    assert claims.let_go(first.attempt, first.fence)
    heir = claims.claim(first.attempt.pk, "run@one", "boot-run@one")
    assert heir is not None and HUSH.encode() not in bytes(heir.secrets)
    (driver.root / handle.name / "work" / "go").touch()
    assert Run(heir, driver).go().verdict is None
    assert [line.data for line in _lines(heir)] == [b"***\n"]


def test_output_that_can_not_be_masked_any_more_is_not_stored(driver: ProcessDriver, settings: Any) -> None:
    secret()
    first = Run(attempt_of(command=["sh", "-c", 'echo "$API_KEY"; sleep 60'], secrets=["API_KEY"]), driver)
    Starter(first.grip).start()
    assert claims.let_go(first.attempt, first.fence)
    settings.SECRET_KEY = KEYS[0]
    heir = claims.claim(first.attempt.pk, "run@one", "boot-run@one")
    assert heir is not None
    how = Run(heir, driver).go()
    assert how.verdict is not None and (how.verdict.code, how.log_complete) == ("secret_missing", False)
    assert "TOWLINE_SECRET_KEY_FALLBACKS" in how.verdict.remedy
    assert not _lines(heir) and not list(driver.survey(installation_key()))


def test_the_key_can_be_changed(settings: Any) -> None:
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = KEYS[0], []
    made = secret()
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = KEYS[1], [KEYS[0]]
    assert unseal(made.sealed) == HUSH
    call_command("secret", "rekey", stdout=StringIO())
    settings.SECRET_KEY_FALLBACKS = []
    assert unseal(Secret.objects.get().sealed) == HUSH
    settings.SECRET_KEY = KEYS[0]
    with pytest.raises(Unreadable):
        unseal(Secret.objects.get().sealed)
    with pytest.raises(CommandError, match="TOWLINE_SECRET_KEY_FALLBACKS"):
        call_command("secret", "rekey")
    assert seal(HUSH) != seal(HUSH)


def command(monkeypatch: pytest.MonkeyPatch, *words: str, given: bytes = b"") -> str:
    monkeypatch.setattr("sys.stdin", TextIOWrapper(BytesIO(given)))
    out = StringIO()
    call_command("secret", *words, stdout=out, stderr=out)
    return out.getvalue()


def test_the_command_takes_values_by_stdin_or_file_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert "API_KEY of project default is set" in command(monkeypatch, "set", "API_KEY", given=b"hush\n")
    assert unseal(Secret.objects.get().sealed) == "hush"
    (tmp_path / "key").write_text("from a file\n")
    command(monkeypatch, "set", "API_KEY", "--from-file", str(tmp_path / "key"))
    assert unseal(Secret.objects.get().sealed) == "from a file\n"
    assert "too short" in command(monkeypatch, "set", "SHORT", given=b"x")
    listed = command(monkeypatch, "list")
    assert "API_KEY" in listed and "from a file" not in listed
    assert [one["name"] for one in json.loads(command(monkeypatch, "list", "--json"))] == ["API_KEY", "SHORT"]
    assert "is deleted" in command(monkeypatch, "delete", "SHORT")
    assert Secret.objects.count() == 1
    for words, given in (
        (("set", "1X"), b"v"),
        (("set", "A"), b""),
        (("set",), b"v"),
        (("set", "A"), b"\xff"),
        (("delete", "A"), b""),
    ):
        with pytest.raises(CommandError):
            command(monkeypatch, *words, given=given)


def test_the_admin_takes_a_value_and_never_gives_one(client: Client, root: User) -> None:
    client.force_login(root)
    add = reverse("admin:jobs_secret_add")
    wrong = client.post(add, {"project": Project.objects.get().pk, "name": "A-B", "value": HUSH})
    assert wrong.status_code == 200 and HUSH not in wrong.content.decode()
    client.post(add, {"project": Project.objects.get().pk, "name": "KEY", "value": f"{HUSH}\r\n2"})
    made = Secret.objects.get()
    assert (unseal(made.sealed), made.created_by) == (f"{HUSH}\n2", root)
    change = reverse("admin:jobs_secret_change", args=[made.pk])
    pages = [client.get(change), client.get(reverse("admin:jobs_secret_changelist")), client.get(add)]
    client.post(change, {"value": "second"})
    assert unseal(Secret.objects.get().sealed) == "second"
    assert HUSH not in "".join(page.content.decode() for page in pages) + repr(list(LogEntry.objects.values()))
    assert [page.status_code for page in pages] == [200] * 3
