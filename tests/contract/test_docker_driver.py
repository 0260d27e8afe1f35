"""What the Docker driver promises beyond the common suite, on a real engine."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import pytest

from tests.contract.docker_yard import Yard, open_yard
from tests.contract.following import read
from workers.drivers.docker.connection import Connection
from workers.drivers.docker.stdin import Stdin
from workers.drivers.protocol import Phase, Refused, Unavailable

pytestmark = pytest.mark.docker


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    with open_yard(tmp_path / "locks") as opened:
        yield opened


def until(happened: Callable[[], bool], seconds: float = 20) -> None:
    limit = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < limit, "it did not happen in time"
        time.sleep(0.02)


# Once


def test_a_namesake_without_our_labels_is_left_alone(yard: Yard) -> None:
    spec = yard.spec("true")
    stranger = yard.client.create_container(yard.image, ["sleep", "9"], name=spec.name)["Id"]
    try:
        with pytest.raises(Refused, match=spec.name):
            yard.driver.start(spec)
        assert yard.driver.find(spec.name) is None
        assert yard.client.inspect_container(stranger)["State"]["Status"] == "created"
    finally:
        yard.client.remove_container(stranger)


def test_a_namesake_of_another_attempt_is_left_alone(yard: Yard) -> None:
    spec = yard.spec("true")
    other = {**spec.labels, "towline.attempt": "2"}
    yard.client.create_container(yard.image, ["true"], name=spec.name, labels=other)
    with pytest.raises(Refused):
        yard.driver.start(spec)


def test_eight_starts_at_once_run_it_once(yard: Yard) -> None:
    spec = yard.spec("echo", "ran")
    with ThreadPoolExecutor(8) as threads:
        handles = list(threads.map(lambda _: yard.another_driver().start(spec), range(8)))
    assert len({handle.uid for handle in handles}) == 1
    assert yard.finish(handles[0]).output == b"ran\n"


def test_a_start_of_what_has_exited_does_not_run_it_again(yard: Yard) -> None:
    spec = yard.spec("echo", "ran")
    first = yard.finish(yard.driver.start(spec))
    assert yard.driver.start(spec) == first.seen.handle
    assert yard.finish(first.seen.handle).output == b"ran\n"
    assert yard.driver.inspect(first.seen.handle).started_at == first.seen.started_at


def test_a_failed_start_is_not_tried_again(yard: Yard) -> None:
    spec = yard.spec("id", user="nosuch")
    handle = yard.driver.start(spec)
    assert yard.driver.start(spec) == handle
    assert yard.finish(handle).code == "bad_user"


def test_what_was_created_before_a_crash_is_started(yard: Yard) -> None:
    spec = yard.spec(script="echo ran")
    created = yard.create(spec)
    assert yard.driver.find(spec.name).phase is Phase.CREATED  # type: ignore[union-attr]
    handle = yard.driver.start(spec)
    assert handle.uid == created
    assert yard.finish(handle).output == b"ran\n"


def test_stdin_is_fed_whole_after_a_crash_in_the_middle_of_it(yard: Yard) -> None:
    spec = yard.spec("cat", stdin="once\n")
    Stdin.attach(Connection(None, 30), yard.create(spec), "on", 30).feed()
    assert yard.finish(yard.driver.start(spec)).output == b"once\n"


def test_a_container_whose_image_is_gone_is_still_found(yard: Yard) -> None:
    reference = f"towline/test-{yard.installation}:1"
    yard.client.tag(yard.image, reference.removesuffix(":1"), "1")
    spec = yard.spec("echo", "ran", image=reference)
    handle = yard.driver.start(spec)
    yard.client.remove_image(reference, force=True)
    assert yard.driver.start(spec) == handle


# Looking, stopping, removing


def test_a_handle_of_another_engine_is_not_gone(yard: Yard) -> None:
    handle = yard.start("true")
    elsewhere = type(handle)(handle.driver, handle.name, handle.uid, "another engine")
    with pytest.raises(Unavailable):
        yard.driver.inspect(elsewhere)


def test_a_namesake_made_later_is_another_container(yard: Yard) -> None:
    spec = yard.spec("true")
    first = yard.driver.start(spec)
    yard.driver.remove(first)
    second = yard.driver.start(spec)
    assert yard.driver.inspect(first).phase is Phase.GONE
    assert second.uid != first.uid


def test_the_survey_shows_ours_and_only_ours(yard: Yard) -> None:
    handles = {yard.start("true"), yard.start("sleep", "30"), yard.start("id", user="nosuch")}
    assert {seen.handle for seen in yard.driver.survey(yard.installation)} == handles
    assert list(yard.driver.survey("nobody")) == []


def test_a_term_is_obeyed_at_once_and_named(yard: Yard) -> None:
    handle = yard.start("sleep", "60")
    yard.driver.stop(handle, 10)
    ran = yard.finish(handle)
    assert (ran.seen.exit_code, ran.code) == (143, "killed_by_signal")


def test_a_kill_ends_what_ignores_term(yard: Yard) -> None:
    handle = yard.start("sh", "-c", "trap '' TERM; echo deaf; while :; do sleep 0.1; done")
    assert next(read(yard.driver, handle, None)).data == b"deaf\n"
    yard.driver.stop(handle, 10)
    assert yard.driver.inspect(handle).phase is Phase.RUNNING
    yard.driver.stop(handle, 0)
    ran = yard.finish(handle)
    assert (ran.seen.exit_code, ran.code) == (137, "killed_by_signal")


def test_stop_and_remove_are_fine_in_every_phase(yard: Yard) -> None:
    spec = yard.spec("sleep", "60")
    yard.create(spec)
    created = yard.driver.find(spec.name)
    assert created is not None
    handles = [created.handle, yard.start("true"), yard.start("sleep", "60"), yard.start("id", user="nosuch")]
    for handle in handles:
        for grace in (5, 0, 0):
            yard.driver.stop(handle, grace)
        yard.driver.remove(handle)
        yard.driver.remove(handle)
        yard.driver.stop(handle, 0)
        assert yard.driver.inspect(handle).phase is Phase.GONE


def test_many_may_remove_at_once(yard: Yard) -> None:
    handle = yard.start("sleep", "60")
    with ThreadPoolExecutor(6) as threads:
        list(threads.map(lambda _: yard.another_driver().remove(handle), range(6)))
    until(lambda: yard.driver.inspect(handle).phase is Phase.GONE)


def test_nothing_is_left_of_a_script(yard: Yard) -> None:
    handle = yard.start(script="sleep 60")
    (volume,) = [mount["Name"] for mount in yard.client.inspect_container(handle.uid)["Mounts"]]
    yard.driver.remove(handle)
    assert volume not in {found["Name"] for found in yard.client.volumes()["Volumes"] or []}


# What is run, and within which limits


def test_the_limits_reach_the_engine(yard: Yard) -> None:
    handle = yard.start("sleep", "30", cpus=0.5, memory_bytes=64 << 20, pids=20, shm_bytes=1 << 20, read_only=True)
    host = yard.client.inspect_container(handle.uid)["HostConfig"]
    assert (host["NanoCpus"], host["Memory"], host["MemorySwap"]) == (500_000_000, 64 << 20, 64 << 20)
    assert (host["PidsLimit"], host["ShmSize"], host["ReadonlyRootfs"]) == (20, 1 << 20, True)
    assert (host["Init"], host["CapDrop"], host["SecurityOpt"]) == (True, ["ALL"], ["no-new-privileges"])
    assert not host["Privileged"]


def test_usage_is_sampled_at_once(yard: Yard) -> None:
    handle = yard.start("sh", "-c", "echo on; while :; do :; done")
    next(read(yard.driver, handle, None))
    took = []
    for _ in range(3):  # an engine that is asked for two samples takes more than a second each time
        asked_at = time.monotonic()
        usage = yard.driver.usage(handle)
        took.append(time.monotonic() - asked_at)
    assert min(took) < 1
    assert usage is not None
    assert 0 < usage.memory_bytes <= usage.memory_peak_bytes
    until(lambda: (later := yard.driver.usage(handle)) is not None and later.cpu_seconds > usage.cpu_seconds)
    yard.driver.stop(handle, 0)
    until(lambda: yard.driver.usage(handle) is None)


def test_a_script_runs_under_a_shell_or_its_own_interpreter(yard: Yard) -> None:
    assert yard.run(script="echo $0\nexit 3", read_only=True).output == b"/towline/script\n"
    awk = yard.run(script='#!/bin/awk -f\nBEGIN { print "awk" }', user="nobody", working_dir="/new/place")
    assert awk.output == b"awk\n"


def test_a_script_without_its_interpreter_is_explained(yard: Yard) -> None:
    ran = yard.run(script="#!/bin/perl\n")
    assert (ran.seen.exit_code, ran.code) == (127, "command_not_found")
    assert ran.verdict is not None
    assert "interpreter" in ran.verdict.remedy


@pytest.mark.parametrize("size", [0, 5, 1_000_000])
def test_stdin_is_fed_and_ended(yard: Yard, size: int) -> None:
    digest = sha256(b"x" * size).hexdigest()
    assert yard.run("sha256sum", stdin="x" * size).output == f"{digest}  -\n".encode()


def test_a_container_that_does_not_read_its_stdin_ends(yard: Yard) -> None:
    assert yard.run("true", stdin="x" * 1_000_000).code is None


def test_a_disk_without_quota_runs_and_says_so(yard: Yard) -> None:
    ran = yard.run("true", disk_bytes=1 << 30)
    assert ran.code is None
    quota = yard.client.inspect_container(ran.seen.handle.uid)["HostConfig"].get("StorageOpt")
    assert quota or ran.seen.labels["towline.disk-quota"] == "not-enforced"


def test_gpus_are_never_silently_left_out(yard: Yard) -> None:
    if "nvidia" in yard.client.info()["Runtimes"]:
        pytest.skip("this engine has GPUs")
    with pytest.raises(Refused) as refused:
        yard.start("true", gpus=1)
    assert refused.value.verdict.code == "unschedulable"


# Why it ended


@pytest.mark.parametrize(
    ("command", "exit_code", "code", "named"),
    [
        (("nosuch",), 127, "command_not_found", "nosuch"),
        (("/etc/passwd",), 126, "command_not_executable", "/etc/passwd"),
        (("sh", "-c", "exit 42"), 42, "exit_code", "42"),
        (("sh", "-c", "exit 127"), 127, "exit_code", "127"),
        (("sh", "-c", "kill -9 $$"), 137, "killed_by_signal", "SIGKILL"),
    ],
)
def test_an_end_is_explained(yard: Yard, command: tuple[str, ...], exit_code: int, code: str, named: str) -> None:
    ran = yard.run(*command)
    assert ran.verdict is not None
    assert (ran.seen.exit_code, ran.code) == (exit_code, code)
    assert named in ran.verdict.summary


def test_a_bad_user_network_or_folder_is_explained(yard: Yard) -> None:
    assert yard.run("id", user="nosuch").code == "bad_user"
    assert yard.run("id", network="nosuch").code == "invalid_spec"
    with pytest.raises(Refused) as refused:
        yard.start("id", working_dir="/etc/passwd")
    assert refused.value.verdict.code == "bad_working_dir"


def test_out_of_memory_is_told_for_the_main_process_and_for_a_child(yard: Yard) -> None:
    main = yard.run("tail", "/dev/zero", memory_bytes=12 << 20)
    child = yard.run("sh", "-c", "tail /dev/zero; exit 5", memory_bytes=12 << 20)
    assert (main.seen.exit_code, main.code) == (137, "oom_killed")
    assert (child.seen.exit_code, child.code) == (5, "oom_child")


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"image": "towline/nosuch:1"}, "image_not_found"),
        ({"arch": "s390x"}, "image_wrong_platform"),
        ({"cpus": 4096}, "unschedulable"),
        ({"memory_bytes": 1 << 20}, "invalid_spec"),
    ],
)
def test_what_the_engine_does_not_create_is_refused(yard: Yard, more: dict[str, object], code: str) -> None:
    with pytest.raises(Refused) as refused:
        yard.start("true", **more)
    assert refused.value.verdict.code == code


# What it holds


def test_connections_do_not_grow_with_the_jobs_a_worker_had(yard: Yard) -> None:
    """Each container has addresses of its own at the engine, which are asked once or twice in its life."""

    def run_one(number: int) -> None:
        handle = yard.driver.start(yard.spec("echo", str(number)))
        yard.finish(handle)
        yard.driver.remove(handle)

    run_one(0)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for number in range(6):
        run_one(number)
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 3
