"""The engine stops, dies, freezes; or somebody else has his hands in it. What the platform says of it is what happened."""

from __future__ import annotations

import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine import OwnEngine, own_engine
from tests.stack import RunningStack, eventually, run_stack

pytestmark = [pytest.mark.docker, pytest.mark.timeout(240)]
COUNT = "i=0; while [ $i -lt 100 ]; do i=$((i+1)); echo line $i; sleep 0.1; done"
EXPECTED = b"".join(f"line {n}\n".encode() for n in range(1, 101))
DEAF = "trap '' TERM; echo begun; i=0; while [ $i -lt 600 ]; do i=$((i+1)); sleep 0.1; done"
FLOOD = "for n in $(seq 1 60); do seq $((n * 1000 - 999)) $((n * 1000)); sleep 0.1; done"
ENGINE_READS_BYTES = 16 * 1024
AGAIN = {"retry": {"max_attempts": 2, "on": ["platform"], "backoff": 0}}


@pytest.fixture(scope="module")
def engine() -> Iterator[OwnEngine]:
    with own_engine() as started:
        yield started


@pytest.fixture(scope="module")
def platform(engine: OwnEngine) -> Iterator[RunningStack]:
    with run_stack("docker", DOCKER_HOST=engine.url) as running:
        yield running


def begun(stack: RunningStack, *command: str, **spec: Any) -> dict[str, Any]:
    """A job that has written something."""
    job = stack.submit(*command, **spec)
    eventually(lambda: stack.output(job))
    return job


def attempts(stack: RunningStack, job: dict[str, Any]) -> list[dict[str, Any]]:
    shown = stack.http.get(f"/jobs/{job['id']}/attempts/").json()
    return sorted(
        shown.get("results", shown) if isinstance(shown, dict) else shown, key=lambda attempt: attempt["number"]
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_an_engine_that_takes_its_containers_along_is_the_platforms_fault(
    engine: OwnEngine, platform: RunningStack, number: int
) -> None:
    obeys = begun(platform, "sh", "-c", "echo begun; sleep 8", **AGAIN)
    refuses = begun(platform, "sh", "-c", DEAF)
    catches = begun(platform, "sh", "-c", "trap 'exit 3' TERM; echo begun; while :; do sleep 0.1; done")
    engine.restart(number)
    assert platform.wait(obeys, 60)["state"] == "succeeded"
    first, second = attempts(platform, obeys)
    assert (first["verdict"]["code"], first["verdict"]["kind"]) == ("engine_unavailable", "platform")
    assert second["state"] == "succeeded"
    for job in (refuses, catches):
        verdict = platform.wait(job)["verdict"]
        assert verdict["code"] == "engine_unavailable", verdict
        assert any("did not answer from" in line for line in verdict["evidence"]), verdict


def test_a_program_that_ends_as_if_killed_ended_by_itself(engine: OwnEngine, platform: RunningStack) -> None:
    """Also on an engine that was started anew a moment ago."""
    engine.restart()
    for code in (137, 143, 255):
        verdict = platform.run("sh", "-c", f"exit {code}")["verdict"]
        assert verdict["code"] in ("killed_by_signal", "exit_code")


def test_an_engine_that_freezes_is_waited_for(engine: OwnEngine, platform: RunningStack) -> None:
    job = begun(platform, "sh", "-c", COUNT)
    engine.send(signal.SIGSTOP)
    froze_at = time.monotonic()
    eventually(lambda: time.monotonic() - froze_at > 15)
    engine.send(signal.SIGCONT)
    assert platform.wait(job, 60)["state"] == "succeeded"
    assert platform.output(job) == EXPECTED


def test_nobody_was_there_when_the_engine_stopped(engine: OwnEngine) -> None:
    folder = Path(tempfile.mkdtemp(prefix="tl-"))
    with run_stack("docker", data_dir=folder, DOCKER_HOST=engine.url) as before:
        taken = begun(before, "sh", "-c", "echo begun; sleep 60")
        own = begun(before, "sh", "-c", "echo begun; sleep 2; exit 137")
        eventually(lambda: len(engine.client.containers()) == 2)
    eventually(lambda: len(engine.client.containers()) == 1)
    with run_stack("docker", data_dir=folder, DOCKER_HOST=engine.url) as between:
        assert between.wait(own, 60)["verdict"]["code"] == "killed_by_signal"
    engine.restart(signal.SIGKILL)
    with run_stack("docker", data_dir=folder, DOCKER_HOST=engine.url) as after:
        assert after.wait(taken, 60)["verdict"]["code"] == "engine_unavailable"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_with_live_restore_jobs_outlive_the_engine(number: int) -> None:
    with own_engine(live_restore=True) as engine, run_stack("docker", DOCKER_HOST=engine.url) as platform:
        job = begun(platform, "sh", "-c", COUNT)
        ends = begun(platform, "sh", "-c", "echo begun; sleep 3.25; exit 137")
        flood = begun(platform, "sh", "-c", FLOOD)
        engine.stop(number)
        eventually(lambda: "engine_away" in platform.events(ends))
        eventually(lambda: not _sleepers("3.25"))
        engine.start()
        assert platform.wait(job, 60)["state"] == "succeeded"
        assert platform.output(job) == EXPECTED
        assert platform.wait(ends)["verdict"]["code"] == "killed_by_signal"
        assert attempts(platform, job)[0]["number"] == platform.job(job["id"])["attempts_count"] == 1
        assert platform.wait(flood, 60)["log"]["complete"]
        assert_stored_once(platform.output(flood), b"".join(b"%d\n" % n for n in range(1, 60_001)))


def assert_stored_once(stored: bytes, written: bytes) -> None:
    """In order and not twice. An engine that is killed may lose what it had read from the container and not yet written."""
    same = next(
        (at for at, (ours, theirs) in enumerate(zip(stored, written, strict=False)) if ours != theirs), len(stored)
    )
    assert written.endswith(stored[same:])
    assert len(written) - len(stored) <= ENGINE_READS_BYTES


def _sleepers(seconds: str) -> list[Path]:
    """Processes of that command line, in whatever container."""
    return [proc for proc in Path("/proc").glob("[0-9]*") if _line(proc) == f"sleep\0{seconds}\0"]


def _line(proc: Path) -> str:
    try:
        return (proc / "cmdline").read_text()
    except OSError:
        return ""
