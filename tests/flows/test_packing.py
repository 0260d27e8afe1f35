"""Sealed logs in the storage: the same log as before, whatever breaks off in between, from a folder or a bucket."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase
from moto.server import ThreadedMotoServer

from jobs import failpoints
from jobs.logs import packing
from jobs.logs.packing import NotAsSealed, pack, pack_for, to_pack, unpack
from jobs.logs.reader import read_bytes, read_lines, read_range, tail_start
from jobs.logs.store import sealing
from jobs.models import Attempt, LogChunk
from towline.doctor.finding import Level
from towline.doctor.house import log_storage as look_at_storage

from .conftest import client_of, make_attempt
from .test_logs import Lines, lines_strategy, numbered, write


def sealed(*chunks: Lines, by: Any = None) -> Attempt:
    attempt = make_attempt(by)
    write(attempt, *chunks)
    Attempt.objects.filter(pk=attempt.pk).update(**sealing(attempt)[1])
    attempt.refresh_from_db()
    return attempt


def everything(attempt: Attempt) -> list[Any]:
    """What readers see, to the microsecond."""
    return [(line.n, line.at_ns // 1000, line.stream, line.data) for line in read_lines(attempt.pk)]


class AnyLog(TestCase):
    @hypothesis(max_examples=20, deadline=None, report_multiple_bugs=False, suppress_health_check=list(HealthCheck))
    @given(
        st.lists(lines_strategy, min_size=1, max_size=20), st.integers(1, 40), st.integers(0, 400), st.integers(1, 99)
    )
    def test_packed_it_reads_as_before(self, chunks: list[Lines], start: int, first: int, size: int) -> None:
        attempt = sealed(*chunks)

        def seen() -> list[Any]:
            number = attempt.pk
            return [
                everything(attempt),
                b"".join(read_bytes(number, start=start)),
                b"".join(read_range(number, first, size)),
                tail_start(number, attempt.log_lines, 3, "stderr"),
            ]

        before = seen()
        whole = b"".join(line[0] for chunk in chunks for line in chunk)
        assert before[2] == whole[first:][:size]
        pack(attempt)
        assert not LogChunk.objects.filter(attempt=attempt).exists()
        attempt.refresh_from_db()
        assert seen() == before
        unpack(attempt)
        assert seen() == before


@pytest.mark.parametrize("point", ["log_written", "log_named"])
def test_broken_off_anywhere_it_is_packed_by_the_next(point: str) -> None:
    attempt = sealed(numbered(5), numbered(3), numbered(9, "stderr"))
    before = everything(attempt)
    failpoints.arm({point: failpoints.Failure("error", 0.0, None)})
    try:
        with pytest.raises(failpoints.FailpointError):
            pack(attempt)
    finally:
        failpoints.arm({})
    assert everything(attempt) == before
    assert pack_for(5, 0) == 1
    assert everything(attempt) == before
    assert not to_pack().exists() and not LogChunk.objects.exists()


def test_a_reader_in_the_middle_goes_on_in_the_storage() -> None:
    attempt = sealed(*(numbered(4) for _ in range(40)))
    reading = read_lines(attempt.pk)
    found = [next(reading) for _ in range(10)]
    pack(attempt)
    found += reading
    assert [line.n for line in found] == list(range(1, 161))


def test_blocks_hold_many_chunks_and_no_hole() -> None:
    attempt = sealed(*(numbered(3) for _ in range(30)))
    LogChunk.objects.filter(attempt=attempt, first_line=31).delete()
    Attempt.objects.filter(pk=attempt.pk).update(**sealing(attempt)[1])
    attempt.refresh_from_db()
    before = everything(attempt)
    pack(attempt)
    assert everything(attempt) == before
    attempt.refresh_from_db()
    assert [row.first_line for row in packing.vault.opened(attempt).rows] == [1, 34]


def test_what_is_not_as_it_was_sealed_stays() -> None:
    attempt = sealed(numbered(3))
    Attempt.objects.filter(pk=attempt.pk).update(log_sha256="0" * 64)
    attempt.refresh_from_db()
    with pytest.raises(NotAsSealed):
        pack(attempt)
    assert pack_for(5, 0) == 0
    assert len(everything(attempt)) == 3


def test_the_running_the_young_and_the_dropped_stay(log_storage: Path) -> None:
    running = make_attempt()
    write(running, numbered(2))
    sealed(numbered(2))
    assert pack_for(5, after_seconds=60) == 0
    assert not log_storage.exists()


def test_an_empty_log_needs_no_file(log_storage: Path) -> None:
    attempt = sealed()
    assert pack_for(5, 0) == 1
    attempt.refresh_from_db()
    assert attempt.log_packed_at and not attempt.log_object and not log_storage.exists()


def test_ranges_over_rest(alice: Any) -> None:
    attempt = sealed(numbered(3), numbered(4), by=alice)
    whole = b"".join(read_bytes(attempt.pk))
    client, path = client_of(alice), f"/api/v1/jobs/{attempt.job_id}/logs/"

    def ask(asked: str, **headers: str) -> tuple[int, bytes, str | None]:
        answer = client.get(path, HTTP_RANGE=asked, **headers)
        body = b"".join(answer) if answer.streaming else answer.content
        return answer.status_code, body, answer.headers.get("Content-Range")

    for _ in range(2):
        assert ask("bytes=3-9") == (206, whole[3:10], f"bytes 3-9/{len(whole)}")
        assert ask("bytes=40-") == (206, whole[40:], f"bytes 40-{len(whole) - 1}/{len(whole)}")
        assert ask("bytes=-5") == (206, whole[-5:], f"bytes {len(whole) - 5}-{len(whole) - 1}/{len(whole)}")
        assert ask("bytes=3-9", HTTP_IF_RANGE='"old"')[:2] == (200, whole)
        assert ask("bytes=9-3")[:2] == ask("lines=1-2")[:2] == ask("bytes=0-1,3-4")[:2] == (200, whole)
        assert ask(f"bytes={len(whole)}-")[0] == 416
        pack(attempt)


def test_a_storage_that_is_away_is_said_so(alice: Any, log_storage: Path) -> None:
    attempt = sealed(numbered(3), by=alice)
    pack(attempt)
    assert look_at_storage().level is Level.OK
    for file in log_storage.rglob("*.tlog"):
        file.unlink()
    packing.vault._opened.cache_clear()
    answer = client_of(alice).get(f"/api/v1/jobs/{attempt.job_id}/logs/")
    assert answer.status_code == 503 and answer.json()["type"] == "urn:towline:problem:log-storage"
    assert look_at_storage().level is Level.FAILED
    with pytest.raises(CommandError, match="TOWLINE_LOG_STORAGE"):
        call_command("logs", str(attempt.job_id))


@pytest.fixture
def bucket(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A server that speaks S3, on loopback."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    given = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
    for name, value in {**given, "AWS_ENDPOINT_URL": f"http://{host}:{port}"}.items():
        monkeypatch.setenv(name, value)
    options = {"bucket_name": "logs", "location": "here", "file_overwrite": True}
    settings.STORAGES = {**settings.STORAGES, "logs": {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": options}}
    storage = packing.vault.storages["logs"]
    storage.connection.create_bucket(Bucket="logs")
    yield storage
    server.stop()


def test_in_a_bucket_it_is_the_same_log(bucket: Any) -> None:
    attempt = sealed(numbered(50), numbered(20, "stderr"))
    before = everything(attempt)
    assert pack_for(5, 0) == 1
    assert everything(attempt) == before
    assert b"".join(read_range(attempt.pk, 100, 20)) == b"".join(line[3] for line in before)[100:120]
    bucket.delete(packing.vault.name_of(attempt))
    packing.vault._opened.cache_clear()
    attempt.refresh_from_db()
    with pytest.raises(packing.vault.Unreadable, match="NoSuchKey"):
        packing.vault.opened(attempt)


def test_the_command_moves_there_and_back(capsys: pytest.CaptureFixture[str]) -> None:
    attempt = sealed(numbered(5))
    before = everything(attempt)
    call_command("pack")
    assert not LogChunk.objects.exists() and "1 logs moved to the storage" in capsys.readouterr().out
    call_command("pack", "--undo", "--json")
    assert LogChunk.objects.exists() and everything(attempt) == before
