"""The engine's info and statistics, host locks, and the busybox check."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from workers.drivers.docker.busybox import is_static
from workers.drivers.docker.connection import Connection, _Held, asking
from workers.drivers.docker.driver import DockerDriver
from workers.drivers.docker.engine import engine_of, has_gpu_runtime
from workers.drivers.docker.locks import HostLocks
from workers.drivers.docker.usage import usage_of
from workers.drivers.protocol import Driver, Images, Metered, Unavailable, Usage

INFO = {"ID": "AB:CD", "ServerVersion": "20.10", "Architecture": "aarch64", "NCPU": 4, "MemTotal": 2**33}


def test_the_engine_is_told_in_dockers_words() -> None:
    engine = engine_of(INFO)
    assert (engine.id, engine.arch, engine.cpus, engine.memory_bytes, engine.gpus) == ("AB:CD", "arm64", 4.0, 2**33, 0)


def test_gpus_are_counted_once_each() -> None:
    devices = [{"ID": f"nvidia.com/gpu={name}"} for name in ("0", "1", "GPU-1234", "all")]
    assert engine_of({**INFO, "DiscoveredDevices": devices}).gpus == 2
    named = [{"NamedResourceSpec": {"Kind": "NVIDIA-GPU", "Value": "GPU-1"}}]
    assert engine_of({**INFO, "GenericResources": named}).gpus == 1
    assert not has_gpu_runtime(INFO)
    assert has_gpu_runtime({**INFO, "Runtimes": {"runc": {}, "nvidia": {}}})


def test_usage_is_without_the_page_cache_but_the_peak_is_the_kernels() -> None:
    stats = {
        "cpu_stats": {"cpu_usage": {"total_usage": 1_500_000_000}},
        "memory_stats": {"usage": 100, "max_usage": 300, "stats": {"total_inactive_file": 40}},
        "pids_stats": {"current": 3},
    }
    assert usage_of(stats) == Usage(1.5, 60, 300, 3)


def test_a_container_that_does_not_run_uses_nothing() -> None:
    assert usage_of({"memory_stats": {}, "cpu_stats": {"cpu_usage": {"total_usage": 0}}}) is None


def test_a_lock_excludes_and_says_so(tmp_path: Path) -> None:
    locks = HostLocks(tmp_path)
    with locks.named("a", 1), pytest.raises(Unavailable, match="held a"), HostLocks(tmp_path).named("a", 0.05):
        pass
    with locks.named("a", 0):
        pass


def test_a_semaphore_has_as_many_slots_as_it_says(tmp_path: Path) -> None:
    locks = HostLocks(tmp_path)
    with locks.slot("start", 2, 0), locks.slot("start", 2, 0), pytest.raises(Unavailable), locks.slot("start", 2, 0.05):
        pass


def test_the_slots_are_the_hosts_and_not_each_process_its_own(tmp_path: Path) -> None:
    with (
        HostLocks(tmp_path).slot("start", 1, 0),
        pytest.raises(Unavailable),
        HostLocks(tmp_path).slot("start", 1, 0.05),
    ):
        pass


def test_an_engine_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(Unavailable):
        DockerDriver("unix:///nonexistent/docker.sock").probe()


def test_a_failure_that_is_not_the_engines_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError), asking("divide"):
        _ = 1 // 0


def test_threads_do_not_share_a_session() -> None:
    connection = Connection("tcp://127.0.0.1:1", 1)
    mine: Any = object()
    connection._local.held = _Held(mine, connection._idle)
    seen: list[object] = []
    thread = Thread(target=lambda: seen.append(getattr(connection._local, "held", None)))
    thread.start()
    thread.join()
    assert seen == [None]
    assert connection.client is mine


def test_a_thread_that_ends_passes_its_client_on() -> None:
    connection = Connection("tcp://127.0.0.1:1", 1)
    client: Any = object()
    thread = Thread(target=lambda: setattr(connection._local, "held", _Held(client, connection._idle)))
    thread.start()
    thread.join()
    assert connection.client is client


def test_the_driver_offers_images_and_usage() -> None:
    driver: Driver = DockerDriver()
    assert isinstance(driver, Images)
    assert isinstance(driver, Metered)


def test_a_program_with_an_interpreter_is_not_static() -> None:
    shell = shutil.which("bash") or sys.executable
    assert not is_static(Path(shell).read_bytes())
    assert not is_static(b"#!/bin/sh\n" + b" " * 100)
