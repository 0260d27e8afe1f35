"""The environment: what it may say, and what production refuses."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from towline.settings.environment import Environment

KEY = "k" * 50


def environment(monkeypatch: pytest.MonkeyPatch, **values: str) -> Environment:
    for name in list(os.environ):
        if name.startswith("TOWLINE_") or name in {"DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL"}:
            monkeypatch.delenv(name)
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    return Environment()


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({}, "SECRET_KEY"),
        ({"TOWLINE_SECRET_KEY": "short"}, "SECRET_KEY"),
        ({"TOWLINE_SECRET_KEY": KEY, "TOWLINE_DEBUG": "true"}, "DEBUG"),
        ({"TOWLINE_SECRET_KEY": KEY, "TOWLINE_RUNTIMES": "docker,process"}, "process"),
        ({"TOWLINE_SECRET_KEY": KEY, "TOWLINE_FAILPOINTS": "claimed=exit"}, "TOWLINE_FAILPOINTS"),
    ],
)
def test_production_refuses_what_is_not_safe(
    monkeypatch: pytest.MonkeyPatch, values: dict[str, str], word: str
) -> None:
    with pytest.raises(ValidationError, match=word):
        environment(monkeypatch, TOWLINE_MODE="production", **values)


def test_production_starts_when_all_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    found = environment(monkeypatch, TOWLINE_MODE="production", TOWLINE_SECRET_KEY=KEY, TOWLINE_RUNTIMES="docker")
    assert (found.secret_key, found.process_runtime_allowed) == (KEY, False)
    assert KEY not in repr(found)


def test_keys_of_before_are_a_list_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    found = environment(monkeypatch, TOWLINE_SECRET_KEY_FALLBACKS=f"{KEY}, other-key")
    assert [key.get_secret_value() for key in found.TOWLINE_SECRET_KEY_FALLBACKS] == [KEY, "other-key"]
    assert KEY not in repr(found)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TOWLINE_WORKER_NAME", "run"), ("TOWLINE_SLOTS", "0"),
        ("TOWLINE_SLOTS", "many"), ("TOWLINE_RUNTIMES", "podman"), ("TOWLINE_LABELS", "ssd"),
        ("TOWLINE_FAILPOINTS", "nowhere=exit"), ("TOWLINE_TRACE_SERVICES", "web"), ("TOWLINE_TRACE_SERVICES", "job,x"),
        ("TOWLINE_VOLUMES", "/"), ("TOWLINE_VOLUMES", "srv"), ("TOWLINE_VOLUMES", "/srv/../etc"),
        ("TOWLINE_MODE", "prod"), ("TOWLINE_LEASE_SECONDS", "6"), ("TOWLINE_HEARTBEAT_SECONDS", "-1"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    with pytest.raises(ValidationError, match=name):
        environment(monkeypatch, **{name: value})


def test_lists_and_labels_are_split(monkeypatch: pytest.MonkeyPatch) -> None:
    found = environment(monkeypatch, TOWLINE_RUNTIMES="docker, process", TOWLINE_LABELS="disk=ssd, zone=a=b")
    assert (found.TOWLINE_RUNTIMES, found.TOWLINE_LABELS) == (["docker", "process"], {"disk": "ssd", "zone": "a=b"})


def test_the_secret_key_is_made_once_for_its_owner_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made = [environment(monkeypatch, TOWLINE_DATA_DIR=str(tmp_path)).secret_key for _ in range(2)]
    assert made[0] == made[1]
    assert len(made[0]) > 40
    assert stat.S_IMODE((tmp_path / "secret-key").stat().st_mode) == 0o600


def test_the_broker_is_redis_unless_said_otherwise(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    own = environment(monkeypatch, TOWLINE_DATA_DIR=str(tmp_path))
    assert own.broker_url == f"redis+socket://{tmp_path}/redis/redis.sock"
    deep = environment(monkeypatch, TOWLINE_DATA_DIR=str(tmp_path / ("x" * 120)))
    assert len(str(deep.redis_socket)) < 100
    given = environment(monkeypatch, REDIS_URL="redis://h/0", CELERY_BROKER_URL="amqp://h")
    assert (given.redis_url, given.broker_url) == ("redis://h/0", "amqp://h")


def test_logs_leave_the_database_only_for_where_all_processes_find_them(monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = "postgresql://u@db/towline"
    assert environment(monkeypatch).packs_logs
    assert not environment(monkeypatch, DATABASE_URL=elsewhere).packs_logs
    shared = environment(monkeypatch, DATABASE_URL=elsewhere, TOWLINE_LOG_STORAGE="/mnt/logs")
    assert shared.packs_logs and shared.log_storage == "/mnt/logs"
