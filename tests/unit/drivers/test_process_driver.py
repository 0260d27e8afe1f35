"""What the process runtime promises beyond the contract of all drivers: its shim's fate, and nothing of ours leaks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contract.following import (
    eventually,
    follow,
    judged,
    processes_with,
    run,
    text,
    until_over,
    until_said,
    verdict_of,
)
from workers.drivers.process import files
from workers.drivers.process.driver import ProcessDriver
from workers.drivers.process.folder import DRAFTS
from workers.drivers.process.subtree import look
from workers.drivers.protocol import (
    LABEL_ATTEMPT,
    LABEL_INSTALLATION,
    LABEL_JOB,
    ContainerSpec,
    Handle,
    Phase,
    Refused,
    Unavailable,
)

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="root: needs to mount a file system")


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[ProcessDriver]:
    made = ProcessDriver(tmp_path / "jobs")
    yield made
    for seen in list(made.survey("test")):
        made.remove(seen.handle)


def job(command: str | tuple[str, ...] | None = None, **others: Any) -> ContainerSpec:
    argv = ("sh", "-c", command) if isinstance(command, str) else command
    labels = {LABEL_INSTALLATION: "test", LABEL_JOB: "j", LABEL_ATTEMPT: "1"}
    return ContainerSpec(
        **{"name": f"test-{uuid.uuid4().hex}", "labels": labels, "image": "x", "command": argv, **others}
    )


def supervisor_of(driver: ProcessDriver, handle: Handle) -> int:
    return int(driver.inspect(handle).raw["pid"])


def guard_of(driver: ProcessDriver, handle: Handle) -> int:
    shim = look(supervisor_of(driver, handle))
    assert shim
    return shim.parent


def with_a_stray(driver: ProcessDriver) -> tuple[Handle, str]:
    """A running job that has forked a process off, and the mark of all its processes."""
    tag = f"tag-{uuid.uuid4().hex}"
    handle = driver.start(job(f"(setsid sh -c ': {tag}; sleep 60; :' &); : {tag}; echo ready; sleep 60; :"))
    until_said(driver, handle, b"ready")
    eventually(lambda: len(processes_with(tag)) >= 2)
    return handle, tag


def test_a_killed_supervisor_takes_all_with_it_and_is_reported(driver: ProcessDriver) -> None:
    handle, tag = with_a_stray(driver)
    os.kill(supervisor_of(driver, handle), signal.SIGKILL)
    seen = until_over(driver, handle)
    assert (seen.phase, seen.exit_code) == (Phase.EXITED, None)
    assert judged(driver, seen).code == "container_vanished"
    assert "signal 9" in judged(driver, seen).evidence[0]
    eventually(lambda: not processes_with(tag), limit_seconds=2)
    assert text(follow(driver, handle), "stdout") == b"ready\n"


def test_a_killed_guard_is_not_missed(driver: ProcessDriver) -> None:
    handle, tag = with_a_stray(driver)
    guard = guard_of(driver, handle)
    os.kill(guard, signal.SIGKILL)
    eventually(lambda: guard_of(driver, handle) != guard)
    assert driver.inspect(handle).phase is Phase.RUNNING
    driver.stop(handle, 0)
    assert until_over(driver, handle).exit_code == 137
    eventually(lambda: not processes_with(tag), limit_seconds=2)


def test_without_guard_and_supervisor_it_has_vanished_and_is_not_run_again(driver: ProcessDriver) -> None:
    tag = f"tag-{uuid.uuid4().hex}"
    wanted = job(f": {tag}; echo ready; sleep 60; :")
    handle = driver.start(wanted)
    until_said(driver, handle, b"ready")
    for pid in (guard_of(driver, handle), supervisor_of(driver, handle)):
        os.kill(pid, signal.SIGKILL)
    seen = until_over(driver, handle)
    assert (seen.phase, seen.exit_code) == (Phase.EXITED, None)
    assert driver.start(wanted) == handle
    assert driver.inspect(handle).phase is Phase.EXITED
    eventually(lambda: not processes_with(tag), limit_seconds=2)


def test_a_restart_of_the_machine_is_noticed(driver: ProcessDriver) -> None:
    """What such a restart leaves: a start of another boot, by a pid that may be anyone's now."""
    handle = driver.start(job("true"))
    until_over(driver, handle)
    folder = driver.root / handle.name
    (folder / files.EXIT).unlink()
    started = {**json.loads((folder / files.STARTED).read_text()), "boot_id": "another", "pid": os.getpid()}
    (folder / files.STARTED).write_text(json.dumps(started))
    eventually(lambda: driver.inspect(handle).phase is Phase.EXITED)
    verdict = judged(driver, driver.inspect(handle))
    assert verdict.code == "container_vanished"
    assert "restarted" in verdict.evidence[0]
    assert driver.usage(handle) is None


def test_nothing_of_the_worker_reaches_the_job(driver: ProcessDriver) -> None:
    """No descriptor, no ignored or blocked signal, no terminal's session."""
    with Path(os.devnull).open() as ours:
        os.set_inheritable(ours.fileno(), True)
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        out, _, _ = run(driver, job("ls /proc/self/fd; grep -E 'Sig(Blk|Ign)' /proc/self/status; ps -o sid= $$"))
        signal.signal(signal.SIGINT, before)
    *fds, blocked, ignored, session = out.decode().split("\n")[:-1]
    assert fds == ["0", "1", "2", "3"]  # the last is the folder that ls reads
    libcs_own = 1 << 31 | 1 << 32  # 32 and 33: nobody but libc may touch these
    assert {int(each.split()[1], 16) & ~libcs_own for each in (blocked, ignored)} == {0}
    assert int(session) != os.getsid(0)


def test_secrets_leave_the_disk_when_it_starts(driver: ProcessDriver) -> None:
    handle = driver.start(job("echo ready; sleep 60", env={"TOKEN": "hush-hush"}))
    until_said(driver, handle, b"ready")
    found = [each for each in (driver.root / handle.name).iterdir() if each.is_file() and b"hush" in each.read_bytes()]
    assert found == []
    environ = [
        Path(f"/proc/{pid}/environ").read_bytes() for pid in (supervisor_of(driver, handle), guard_of(driver, handle))
    ]
    assert environ == [b"", b""]


def test_a_file_of_another_format_is_the_wrong_platform(driver: ProcessDriver, tmp_path: Path) -> None:
    (tmp_path / "program").write_bytes(b"\x7fELF but not really")
    (tmp_path / "program").chmod(0o755)
    assert verdict_of(driver, job((str(tmp_path / "program"),))).code == "wrong_platform"


def test_shared_memory_counts_once(driver: ProcessDriver) -> None:
    """Nine processes that share 30 MB are within 160 MB."""
    sharing = "x=$(head -c 30000000 /dev/zero | tr '\\0' x); for i in $(seq 8); do (sleep 1; :) & done; wait; echo fine"
    out, _, seen = run(driver, job(sharing, memory_bytes=160 * 1024**2))
    assert (out, seen.exit_code, seen.error) == (b"fine\n", 0, "")


def test_too_many_processes_end_it(driver: ProcessDriver) -> None:
    crowd = "i=0; while [ $i -lt 60 ]; do sleep 60 & i=$((i+1)); done; wait"
    verdict = verdict_of(driver, job(crowd, pids=30))
    assert verdict.code == "pids_exhausted"
    assert "30 allowed" in verdict.evidence[0]


@as_root
def test_a_full_disk_ends_it_and_says_so(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "towline-test", str(small)], check=True)
    try:
        driver = ProcessDriver(small / "jobs")
        line = "y" * 999
        handle = driver.start(job(f"yes {line}; :"))
        assert judged(driver, until_over(driver, handle)).code == "disk_full"
        assert {line.data for line in follow(driver, handle)} == {f"{line}\n".encode()}
        driver.remove(handle)
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)


@as_root
def test_it_runs_as_another_user(driver: ProcessDriver) -> None:
    out, _, _ = run(driver, job("id -u; id -g; touch mine && stat -c %u mine", user="65534:65533"))
    assert out == b"65534\n65533\n65534\n"


@pytest.mark.parametrize(
    ("others", "code"),
    [
        ({"command": None}, "invalid_spec"),
        ({"command": ("a\0b",)}, "invalid_spec"),
        ({"env": {"A=B": "c"}}, "invalid_spec"),
        ({"env": {"A": "\ud800"}}, "invalid_spec"),
        ({"name": "../escape"}, "invalid_spec"),
        ({"network": "none"}, "invalid_spec"),
        ({"read_only": True}, "invalid_spec"),
        ({"gpus": 1}, "invalid_spec"),
        ({"arch": "s390x"}, "wrong_platform"),
    ],
)
def test_what_can_never_run_is_refused_and_leaves_nothing(
    driver: ProcessDriver, others: dict[str, Any], code: str
) -> None:
    with pytest.raises(Refused) as refused:
        driver.start(job(**{"command": ("true",), **others}))
    assert refused.value.verdict.code == code
    assert list(driver.root.iterdir()) == []


@pytest.mark.parametrize("working_dir", ["../..", "a/../../b"])
def test_a_relative_working_dir_stays_in_the_folder(driver: ProcessDriver, working_dir: str) -> None:
    assert verdict_of(driver, job("true", working_dir=working_dir)).code == "bad_working_dir"


def test_what_the_job_locked_against_itself_is_removed(driver: ProcessDriver) -> None:
    handle = driver.start(job("mkdir -p a/b; touch a/b/c; chmod 0 a/b a"))
    until_over(driver, handle)
    driver.remove(handle)
    assert list(driver.root.iterdir()) == [driver.root / DRAFTS]
    assert list((driver.root / DRAFTS).iterdir()) == []


def test_a_handle_of_another_machine_is_not_gone_but_out_of_reach(driver: ProcessDriver) -> None:
    with pytest.raises(Unavailable):
        driver.inspect(Handle("process", "a", "uid", "process-elsewhere"))


def test_a_flood_does_not_wait_for_a_reader(driver: ProcessDriver) -> None:
    began = time.monotonic()
    handle = driver.start(job("head -c 100000000 /dev/zero"))
    assert until_over(driver, handle).exit_code == 0
    assert time.monotonic() - began < 30
    assert (driver.root / handle.name / files.OUTPUT).stat().st_size > 100_000_000
