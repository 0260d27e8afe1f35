"""When a drill is refused, and with which remedy. Nothing is running here, so none gets further than its look around."""

from __future__ import annotations

import os
import socket
from typing import Any

import pytest
from django.db import connection

from jobs.clock import Now
from tests.flows.conftest import ENGINE, make_job
from workers.drills.catalogue import DRILLS
from workers.drills.drill import Refused, Ways
from workers.drills.promise import Finding
from workers.drills.running import prepare
from workers.drills.scene import LABEL
from workers.models import Worker


class Nobody:
    """Listens to no drill."""

    def happens(self, text: str) -> None: ...

    def found(self, finding: Finding) -> None: ...


def refusal(name: str, **ways: Any) -> str:
    with pytest.raises(Refused) as refused:
        prepare(DRILLS[name](), Ways(**ways), Nobody())
    return str(refused.value)


def make_worker(name: str = "run@here", **more: Any) -> Worker:
    engine = {**ENGINE, "runtime": "process"}
    values = {"boot": "b", "host": socket.gethostname(), "pid": os.getpid(), "slots": 4, "engines": [engine], **more}
    return Worker.objects.create(name=name, **values)


@pytest.mark.parametrize("name", ["kill-worker", "oom", "restart-redis", "deaf-worker"])
def test_without_a_worker_there_is_no_drill(name: str) -> None:
    assert "no worker is online" in refusal(name)


@pytest.mark.parametrize("name", ["kill-worker", "stop-worker", "freeze-worker"])
def test_a_worker_is_killed_on_its_own_host_only(name: str) -> None:
    make_worker(host="elsewhere")
    assert "run the drill on the worker's own host" in refusal(name)


def test_what_is_not_the_workers_process_is_left_alone() -> None:
    make_worker(pid=os.getpid())  # as when another container's numbers are read as ours
    assert "is not run@here's" in refusal("kill-worker")


def test_a_worker_without_a_process_here_is_named() -> None:
    make_worker(pid=2**22 + 1)
    assert "has no process" in refusal("kill-worker")


def test_a_dead_worker_is_not_drilled() -> None:
    make_worker(stopped_at=Now())
    assert "no worker is online" in refusal("oom")


@pytest.mark.parametrize(
    ("name", "ways", "said"),
    [
        ("oom", {"stop": "true"}, "--stop means nothing to oom"),
        ("bad-image", {"limit": 5.0}, "--limit means nothing to bad-image"),
        ("bad-image", {"runtime": "process"}, "needs the docker runtime"),
        ("bad-image", {}, "online with the docker runtime"),
        ("stop-engine", {}, "--stop 'systemctl stop docker.socket docker' --start"),
        ("fill-disk", {}, "holds nobody to a disk limit"),
        ("oom", {"worker": "run@gone"}, "no worker run@gone is online"),
    ],
)
def test_what_can_not_be_done_is_said_with_its_remedy(name: str, ways: dict[str, Any], said: str) -> None:
    make_worker()
    assert said in refusal(name, **ways)


def test_the_connections_of_sqlite_can_not_be_ended() -> None:
    make_worker()
    if connection.vendor == "sqlite":
        assert "PostgreSQL is needed" in refusal("lost-database")
    else:
        assert prepare(DRILLS["lost-database"](), Ways(), Nobody()).runtime == "process"


def test_one_drill_at_a_time() -> None:
    make_worker()
    first = make_job(labels={LABEL: "oom"})
    assert f"manage.py cancel {first.pk}" in refusal("oom")
