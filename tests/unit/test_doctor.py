from __future__ import annotations

from typing import Any

import pytest

from towline.doctor.engines import docker, docker_risks
from towline.doctor.finding import Check, Finding, Level, examine, failed, fine
from towline.doctor.house import judge_sqlite
from towline.doctor.kubernetes import clusters
from towline.doctor.servers import judge_redis, without_password

HEALTHY = {"LiveRestoreEnabled": True, "Driver": "overlay2"}


@pytest.mark.parametrize(
    ("version", "level"),
    [
        ("3.30.1", Level.FAILED),
        ("3.40.1", Level.WARNING),
        ("3.51.2", Level.WARNING),
        ("3.44.6", Level.OK),
        ("3.50.7", Level.OK),
        ("3.51.3", Level.OK),
    ],
)
def test_sqlite_versions_with_the_reset_bug_are_warned_of(version: str, level: Level) -> None:
    assert judge_sqlite(version).level is level


@pytest.mark.parametrize(("version", "level"), [("6.0.16", Level.FAILED), ("6.2.14", Level.OK), ("10.0.1", Level.OK)])
def test_redis_must_be_new_enough(version: str, level: Level) -> None:
    assert judge_redis(version).level is level


def test_an_engine_whose_restart_ends_jobs_is_warned_of() -> None:
    assert docker_risks(HEALTHY) == {}
    assert any("live-restore" in risk for risk in docker_risks({**HEALTHY, "LiveRestoreEnabled": False}))
    assert any("vfs" in risk for risk in docker_risks({**HEALTHY, "Driver": "vfs"}))


def test_a_check_that_breaks_is_a_failure_with_its_remedy() -> None:
    def broken() -> Finding:
        raise ConnectionError("refused\nand more")

    assert examine([Check("redis", broken, "Start it.")]) == [
        Finding("redis", Level.FAILED, "ConnectionError: refused", "Start it.")
    ]


def test_a_check_may_find_several_things() -> None:
    found = [fine("a", "well"), failed("a", "ill", "Mend it.")]
    assert examine([Check("a", lambda: found), Check("b", lambda: fine("b", "well"))]) == [*found, fine("b", "well")]


def test_clusters_are_looked_at_only_where_jobs_are_given_to_them() -> None:
    assert [(finding.level, "not offered" in finding.detail) for finding in clusters()] == [(Level.OK, True)]


def test_an_engine_is_looked_for_only_where_jobs_are_given_to_it(settings: Any) -> None:
    settings.TOWLINE = settings.TOWLINE.model_copy(
        update={"TOWLINE_RUNTIMES": ["kubernetes"], "TOWLINE_DOCKER_URL": "unix:///nobody/is/here.sock"}
    )
    assert docker() == fine("docker", "not offered (TOWLINE_RUNTIMES)")


def test_no_password_is_shown() -> None:
    assert without_password("redis://:secret@host:1/0") == "redis://host:1/0"
    assert without_password("unix:///tmp/redis.sock") == "unix:///tmp/redis.sock"
