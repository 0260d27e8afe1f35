"""Exports hold what is stored, to the byte, wherever they go; and nobody gets what they may not see."""

from __future__ import annotations

import hashlib
import io
import json
import os
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from moto.server import ThreadedMotoServer
from rest_framework.test import APIClient

from jobs.exporting.archive import archive
from jobs.exporting.chosen import ExportBroken
from jobs.exporting.delivery import PART_BYTES, deliver, to_file
from jobs.exporting.rows import rows
from jobs.logs.reader import read_bytes
from jobs.logs.retention import retention_round
from jobs.logs.squeezing import expand
from jobs.logs.store import Position, append
from jobs.models import Attempt, Job, LogChunk

from .conftest import client_of, make_attempt, make_worker
from .ended import ended, keep

API = "/api/v1"


@pytest.fixture(autouse=True)
def _room() -> None:
    make_worker(slots=100)


def members(squeezed: bytes) -> dict[str, bytes]:
    """By name; read as a stream, as somebody would who has only the pipe."""
    found: dict[str, bytes] = {}
    with tarfile.open(fileobj=io.BytesIO(expand(squeezed)), mode="r|") as tar:
        for member in tar:
            file = tar.extractfile(member)
            assert file is not None
            found[member.name] = file.read()
    return found


def log_of(attempt: Attempt) -> bytes:
    return b"".join(read_bytes(attempt.pk))


async def _gather(answer: Any) -> bytes:
    return b"".join([piece async for piece in answer.streaming_content])


def body_of(answer: Any) -> bytes:
    return async_to_sync(_gather)(answer)


# --- what is in it ----------------------------------------------------------------------------------------------------


def test_the_archive_has_every_log_to_the_byte(alice: User) -> None:
    attempts = [ended(alice, lines=lines, failed=lines == 700) for lines in (0, 1, 700)]
    odd = make_attempt(alice)
    append(odd, odd.fence, Position(), [(b"\x00\xff\r\nno end", "stderr", 1)], "c")
    found = members(b"".join(archive(Job.objects.all())))
    assert set(found) == {f"{a.job_id}/{name}" for a in [*attempts, odd] for name in ("job.json", "attempt-1.log")}
    for attempt in [*attempts, odd]:
        log, about = found[f"{attempt.job_id}/attempt-1.log"], json.loads(found[f"{attempt.job_id}/job.json"])
        assert log == log_of(attempt)
        facts = about["attempts"][0]["log"]
        assert facts["bytes"] == len(log)
        assert facts["sha256"] == (None if attempt is odd else hashlib.sha256(log).hexdigest())
    failed = json.loads(found[f"{attempts[2].job_id}/job.json"])
    assert (failed["state"], failed["verdict"]["code"], failed["image"]) == ("failed", "exit_code", "busybox")
    assert failed["events"][0]["kind"] == "submitted"


def test_the_rows_have_every_line_once_and_in_order(alice: User) -> None:
    first, second = ended(alice, lines=3000), ended(alice, lines=2)
    found = [json.loads(line) for line in b"".join(rows(Job.objects.all())).splitlines()]
    assert set(found[0]) == {"job", "attempt", "n", "time", "stream", "text"}
    assert [(row["job"], row["n"]) for row in found] == [
        (str(attempt.job_id), n) for attempt in (first, second) for n in range(1, attempt.log_lines + 1)
    ]
    mine = "".join(row["text"] + "\n" for row in found if row["job"] == str(first.job_id))
    assert mine.encode() == log_of(first)


def test_a_dropped_log_is_told_and_not_left_out_in_silence(alice: User, settings: Any) -> None:
    keep(settings, days=1)
    gone = ended(alice, days=2)
    retention_round()
    found = members(b"".join(archive(Job.objects.all())))
    assert set(found) == {f"{gone.job_id}/job.json"}
    assert json.loads(found[f"{gone.job_id}/job.json"])["log"]["dropped_at"]
    (row,) = [json.loads(line) for line in b"".join(rows(Job.objects.all())).splitlines()]
    assert (row["attempt"], row["lines"], row["dropped_at"][:2]) == (1, 3, "20")


def test_a_log_that_is_shorter_than_its_facts_breaks_the_archive(alice: User, tmp_path: Path) -> None:
    attempt = ended(alice)
    LogChunk.objects.filter(attempt=attempt).delete()
    with pytest.raises(ExportBroken, match="lacks"):
        to_file(archive(Job.objects.all()), tmp_path / "broken.tar.zst")
    assert list(tmp_path.iterdir()) == []


def test_what_a_running_job_writes_meanwhile_is_left_out(alice: User) -> None:
    ended(alice)
    running = make_attempt(alice)
    at = append(running, running.fence, Position(), [(b"before\n", "stdout", 1)], "c")
    later: list[Position] = []

    def write_on(count: int) -> None:
        """While the job before it is written, whose facts are read together with its own."""
        if not later:
            later.append(append(running, running.fence, at, [(b"after\n", "stdout", 2)], "d"))

    found = members(b"".join(archive(Job.objects.all(), write_on)))
    assert (log_of(running), found[f"{running.job_id}/attempt-1.log"]) == (b"before\nafter\n", b"before\n")


# --- REST and the admin -----------------------------------------------------------------------------------------------


def test_rest_gives_one_job_in_either_form(api: APIClient, alice: User) -> None:
    attempt = ended(alice)
    answer = api.get(f"{API}/jobs/{attempt.job_id}/export/")
    assert (answer["Content-Type"], answer["Content-Disposition"]) == (
        "application/zstd", f'attachment; filename="towline-{attempt.job_id}.tar.zst"',
    )  # fmt: skip
    assert members(body_of(answer))[f"{attempt.job_id}/attempt-1.log"] == log_of(attempt)
    lines = body_of(api.get(f"{API}/jobs/{attempt.job_id}/export/?format=ndjson")).splitlines()
    assert [json.loads(line)["n"] for line in lines] == [1, 2, 3]


def test_rest_gives_what_the_filters_leave_of_what_is_visible(api: APIClient, alice: User, bob: User) -> None:
    mine, failed, other = ended(alice, name="a"), ended(alice, name="b", failed=True), ended(bob)

    def jobs(client: APIClient, query: str = "") -> set[str]:
        return {name.split("/")[0] for name in members(body_of(client.get(f"{API}/logs/export/{query}")))}

    assert jobs(api) == {str(mine.job_id), str(failed.job_id)}
    assert jobs(api, "?state=failed") == {str(failed.job_id)}
    assert jobs(api, "?name=a&project=default&format=tar.zst") == {str(mine.job_id)}
    assert jobs(client_of(User.objects.create_superuser("boss"))) >= {str(other.job_id)}
    assert api.get(f"{API}/jobs/{other.job_id}/export/").status_code == 404
    assert APIClient().get(f"{API}/logs/export/").status_code == 401


@pytest.mark.parametrize("query", ["format=zip", "format=", "colour=red", "state=odd"])
def test_what_can_not_be_is_named(api: APIClient, alice: User, query: str) -> None:
    attempt = ended(alice)
    wanted = [f"{API}/logs/export/?{query}"] + ([f"{API}/jobs/{attempt.job_id}/export/?{query}"])
    for address in wanted:
        answer = api.get(address)
        assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")
        assert query.partition("=")[0] in answer.content.decode()


def test_the_admin_exports_the_chosen_jobs(client: Client, alice: User, root: User) -> None:
    chosen, _other = ended(alice), ended(alice)
    client.force_login(root)
    action = {"action": "export_jobs", "_selected_action": [str(chosen.job_id)]}
    answer = client.post(reverse("admin:jobs_job_changelist"), action)
    assert "attachment" in answer["Content-Disposition"]
    assert set(members(body_of(answer))) == {f"{chosen.job_id}/job.json", f"{chosen.job_id}/attempt-1.log"}


# --- the command, files and buckets -----------------------------------------------------------------------------------


def test_the_command_writes_a_file_of_the_chosen_jobs(alice: User, tmp_path: Path, capsys: Any) -> None:
    one, two = ended(alice, name="one", labels={"team": "ml"}), ended(alice, name="two", failed=True)
    file = tmp_path / "out.tar.zst"
    call_command("export", str(one.job_id)[-8:], output=str(file))
    assert set(members(file.read_bytes())) == {f"{one.job_id}/job.json", f"{one.job_id}/attempt-1.log"}
    assert "1 job, " in capsys.readouterr().err
    call_command("export", "--state", "failed", "--output", str(file), "--format", "ndjson")
    assert {json.loads(line)["job"] for line in file.read_bytes().splitlines()} == {str(two.job_id)}
    call_command("export", "--label", "team=ml", "--output", str(file), "--format", "ndjson")
    assert {json.loads(line)["job"] for line in file.read_bytes().splitlines()} == {str(one.job_id)}
    assert [path.name for path in tmp_path.iterdir()] == ["out.tar.zst"]


def test_the_command_writes_to_stdout(alice: User, capfdbinary: Any) -> None:
    attempt = ended(alice)
    call_command("export", output="-")
    assert f"{attempt.job_id}/attempt-1.log" in members(capfdbinary.readouterr().out)


@pytest.mark.parametrize(
    ("output", "word"),
    [("/proc/none/x", "No such file"), ("s3://x", "s3://bucket/key"), ("s3://bucket/", "s3://bucket/key")],
)
def test_what_is_in_the_way_is_said(alice: User, output: str, word: str) -> None:
    ended(alice)
    with pytest.raises(CommandError, match=word):
        call_command("export", output=output)


def test_nothing_to_export_is_an_error_and_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="no job matches"):
        call_command("export", output=str(tmp_path / "x"))
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A server that speaks S3, with the bucket `kept`."""
    import boto3

    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "ENDPOINT_URL": f"http://{host}:{port}", "ACCESS_KEY_ID": "any", "SECRET_ACCESS_KEY": "any", "DEFAULT_REGION": "us-east-1",
    }.items():  # fmt: skip
        monkeypatch.setenv(f"AWS_{name}", value)
    # It remembers, as long as the process lives, what an earlier one had.
    httpx.post(f"http://{host}:{port}/moto-api/reset")
    client = boto3.client("s3")
    client.create_bucket(Bucket="kept")
    yield client
    server.stop()


def test_an_export_into_a_bucket_is_the_same(alice: User, s3: Any) -> None:
    attempt = ended(alice)
    call_command("export", output="s3://kept/some/where.tar.zst")
    stored = s3.get_object(Bucket="kept", Key="some/where.tar.zst")["Body"].read()
    assert members(stored)[f"{attempt.job_id}/attempt-1.log"] == log_of(attempt)
    with pytest.raises(CommandError, match="NoSuchBucket"):
        call_command("export", output="s3://not-there/x")


def test_a_large_export_goes_in_parts_and_a_broken_one_leaves_nothing(s3: Any) -> None:
    big = os.urandom(PART_BYTES // 4)

    def pieces(broken: bool) -> Iterator[bytes]:
        yield from [big] * 5
        if broken:
            raise ExportBroken("cut off")

    deliver(pieces(False), "s3://kept/whole")
    found = s3.get_object(Bucket="kept", Key="whole")
    assert (found["ContentLength"], found["ETag"].rstrip('"')[-2:]) == (len(big) * 5, "-2")
    assert hashlib.sha256(found["Body"].read()).digest() == hashlib.sha256(big * 5).digest()
    with pytest.raises(ExportBroken, match="cut off"):
        deliver(pieces(True), "s3://kept/broken")
    assert [each["Key"] for each in s3.list_objects_v2(Bucket="kept")["Contents"]] == ["whole"]
    assert not s3.list_multipart_uploads(Bucket="kept").get("Uploads")


@contextmanager
def without(module: str) -> Iterator[None]:
    """As on a machine that does not have it."""
    hidden = {name: sys.modules.pop(name) for name in list(sys.modules) if name.split(".")[0] in (module, "storages")}
    sys.modules[module] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[module]
        sys.modules.update(hidden)


def test_without_the_extra_the_remedy_is_named() -> None:
    with without("boto3"), pytest.raises(ExportBroken, match=r"pip install 'towline\[s3\]'"):
        deliver(iter([b"x"]), "s3://kept/x")
