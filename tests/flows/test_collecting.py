"""From a container's output to stored lines: all of it, or the place where it is missing by name."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from docker import APIClient

from jobs.logs.reader import read_bytes, read_lines
from jobs.models import Attempt, LogChunk, installation_key
from tests.contract.following import eventually, until_over
from workers import claims
from workers.drivers.docker.driver import DockerDriver
from workers.drivers.output import Output
from workers.drivers.protocol import Handle, Phase
from workers.runner import Run

from .conftest import make_attempt

pytestmark = pytest.mark.docker
TINY_BYTES = 100_000  # of the engine's log file: two of them hold some six thousand short lines
FLOOD = 100_000
MakeDriver = Callable[..., DockerDriver]


@pytest.fixture
def docker(tmp_path: Path) -> Iterator[MakeDriver]:
    """Makes drivers; their containers go with the test."""

    def make(kind: type[DockerDriver] = DockerDriver, **limits: Any) -> DockerDriver:
        return kind(silence_seconds=2, lock_dir=tmp_path, **limits)

    yield make
    for seen in make().survey(installation_key()):
        make().remove(seen.handle)


def started(*command: str) -> Attempt:
    """An attempt that a worker has claimed."""
    attempt = make_attempt(image="towline/demo:1", command=list(command))
    found = claims.claim(attempt.pk, attempt.worker, f"boot-{attempt.worker}")
    assert found is not None
    return found


def ran(attempt: Attempt, driver: DockerDriver) -> Any:
    Run(attempt, driver).go()
    return Attempt.objects.get(pk=attempt.pk)


def stored_numbers(attempt: Attempt) -> list[int]:
    return [int(line.data) for line in read_lines(attempt.pk)]


def holes(attempt: Attempt) -> list[int]:
    """Of a log of rising numbers from 1: the numbers of the lines before which some are missing."""
    numbers = stored_numbers(attempt)
    assert numbers == sorted(set(numbers)), "twice, or out of order"
    return [n for n, (before, now) in enumerate(zip([0, *numbers], numbers, strict=False), 1) if now != before + 1]


class Stalling(DockerDriver):
    """Its reader gets the first lines of each reading, and the next when the container is over."""

    def logs(self, handle: Handle, after: str | None) -> Iterator[Output]:
        for number, output in enumerate(super().logs(handle, after)):
            if number == 1:
                until_over(self, handle)
            yield output


@pytest.mark.parametrize("kind", [DockerDriver, Stalling])
def test_what_was_rotated_away_is_a_gap_at_its_place_and_nothing_else_is(
    docker: MakeDriver, kind: type[DockerDriver]
) -> None:
    attempt = ran(started("sh", "-c", f"echo 1; sleep 0.5; seq 2 {FLOOD}"), docker(kind, log_bytes=TINY_BYTES))
    gaps = [(gap["line"], gap["reason"]) for gap in attempt.log_gaps]
    assert gaps == [(line, "rotated") for line in holes(attempt)]
    assert stored_numbers(attempt)[-1] == FLOOD
    assert attempt.log_complete is (not gaps)
    if kind is Stalling:
        assert gaps
        assert all(gap["since"] < gap["until"] for gap in attempt.log_gaps)


def test_a_reader_that_keeps_up_with_rotation_has_it_all(docker: MakeDriver) -> None:
    """Some eight files in a row, of which two are there at any time."""
    attempt = ran(started("sh", "-c", "for n in $(seq 1 1000); do echo $n; usleep 1000; done"), docker(log_bytes=5_000))
    assert (holes(attempt), attempt.log_gaps, attempt.log_complete) == ([], [], True)
    assert attempt.log_lines == 1000


def test_a_flood_within_the_usual_limits_is_complete(docker: MakeDriver) -> None:
    attempt = ran(started("seq", "1", f"{FLOOD}"), docker())
    assert (holes(attempt), attempt.log_gaps, attempt.log_complete) == ([], [], True)
    assert attempt.log_lines == FLOOD


def test_more_than_is_kept_loses_its_middle(docker: MakeDriver, settings: Any) -> None:
    settings.TOWLINE = settings.TOWLINE.model_copy(update={"TOWLINE_LOG_BYTES_MOST": 64 * 1024})
    attempt = ran(started("seq", "1", "30000"), docker())
    numbers, (gap,) = stored_numbers(attempt), attempt.log_gaps
    assert (gap["reason"], [gap["line"]]) == ("capped", [now for before, now in pairwise(numbers) if now != before + 1])
    assert (numbers[0], numbers[-1], len(numbers) + gap["lines"]) == (1, 30000, 30000)
    facts = attempt.log_facts()
    assert 56 * 1024 < facts["bytes"] <= 64 * 1024
    assert facts["sha256"] == hashlib.sha256(b"".join(read_bytes(attempt.pk))).hexdigest()


def test_bytes_of_all_kinds_are_stored_as_they_are(docker: MakeDriver) -> None:
    """Noise, of which no two lines are equal: what is stored has the digest that the container says it wrote."""
    noise = "head -c 3000000 /dev/urandom > /tmp/noise; cat /tmp/noise; sha256sum < /tmp/noise >&2"
    attempt = ran(started("sh", "-c", noise), docker())
    (said,) = [line.data for line in read_lines(attempt.pk, stream="stderr")]
    out = b"".join(line.data for line in read_lines(attempt.pk, stream="stdout"))
    assert hashlib.sha256(out).hexdigest() == said.split()[0].decode()
    assert attempt.log_complete


def test_one_line_of_100_mb_is_stored_in_pieces_as_it_is(docker: MakeDriver) -> None:
    attempt = ran(started("sh", "-c", "head -c 100000000 /dev/zero | tr '\\0' x; echo"), docker())
    assert (attempt.log_bytes, attempt.log_complete) == (100_000_001, True)
    assert attempt.log_lines == -(-100_000_001 // 1024**2)
    assert attempt.log_sha256 == hashlib.sha256(b"x" * 100_000_000 + b"\n").hexdigest()


def test_a_lone_line_is_in_the_database_at_once(docker: MakeDriver, transactional_db: None) -> None:
    """By the database's clock, against the engine's stamp; the best of several, as the machine may be busy."""
    attempt = ran(started("sh", "-c", "for n in $(seq 1 8); do echo $n; sleep 0.25; done"), docker())
    stamps = {line.n: line.at_ns / 1e9 for line in read_lines(attempt.pk)}
    took = sorted(
        chunk.created_at.timestamp() - stamps[chunk.last_line] for chunk in LogChunk.objects.filter(attempt=attempt)
    )
    assert len(took) >= 6
    assert took[0] < 0.15, took
    assert took[len(took) // 4] < 0.5, took


class Removing(DockerDriver):
    """Somebody removes the container right after its end was seen."""

    def inspect(self, handle: Handle) -> Any:
        seen = super().inspect(handle)
        if seen.phase is Phase.EXITED:
            self.remove(handle)
        return seen


def test_a_container_removed_in_the_moment_of_its_end_leaves_a_gap_at_the_end(docker: MakeDriver) -> None:
    attempt = ran(started("seq", "1", "5"), docker(Removing))
    assert attempt.log_complete is False
    assert [(gap["line"], gap["reason"]) for gap in attempt.log_gaps] == [(attempt.log_lines + 1, "removed")]


class Vanishing(DockerDriver):
    """Somebody removes the container after its first lines."""

    def logs(self, handle: Handle, after: str | None) -> Iterator[Output]:
        for output in super().logs(handle, after):
            yield output
            self.remove(handle)


def test_a_container_removed_while_it_runs_leaves_a_gap_at_the_end(docker: MakeDriver) -> None:
    attempt = ran(started("sh", "-c", "echo 1; sleep 60"), docker(Vanishing))
    assert [(gap["line"], gap["reason"]) for gap in attempt.log_gaps] == [(2, "removed")]
    assert (attempt.log_complete, attempt.verdict["code"]) == (False, "container_vanished")


class Spoiling(DockerDriver):
    """The engine's disk goes bad: when the container is over, and nobody has read it, the middle of its log is rubbish."""

    spoilt = False

    def inspect(self, handle: Handle) -> Any:
        if not self.spoilt:
            eventually(lambda: super(Spoiling, self).inspect(handle).phase is Phase.EXITED)
            self.spoilt = True
            root = Path(APIClient().info()["DockerRootDir"])
            file = root / "containers" / handle.uid / "local-logs" / "container.log"
            if not os.access(file, os.W_OK):
                pytest.skip(f"docker: {file} is not ours to spoil")
            with file.open("r+b") as log:
                log.seek(file.stat().st_size // 2)
                log.write(b"\xff" * 64)
        return super().inspect(handle)


def test_a_log_that_the_engine_can_not_read_ends_in_a_gap(docker: MakeDriver) -> None:
    attempt = ran(started("seq", "1", "300"), docker(Spoiling))
    assert 0 < attempt.log_lines < 200
    assert [(gap["line"], gap["reason"]) for gap in attempt.log_gaps] == [(attempt.log_lines + 1, "unreadable")]
    assert (attempt.state, attempt.log_complete) == ("succeeded", False)
