"""`suite`, `doctor`, `workers` and `reconcile` on a running platform."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.stack import RunningStack

MASKED = """
runtimes = ["docker", "process"]
about = "its middle step fails, and the exit code does not tell"

[spec]
command = ["sh", "-c", "echo start; no-such-program-here; echo done"]

[expect]
lines = 3
keys = ['^start$', '^middle done$', '^done$']
"""


def check_suite(stack: RunningStack, runtime: str) -> None:
    ran = stack.manage("suite", runtime, "--json", timeout=200)
    told = json.loads(ran.stdout)
    assert [row for row in told["examples"] if not row["passed"]] == []
    assert (ran.returncode, told["passed"]) == (0, True)
    lines = {row["name"]: row["lines"] for row in told["examples"]}
    assert lines == {"hello": 1, "ml": 7, "memory": 3, "cpu": 12, "build": 5, "data": 4}
    assert all(row["seconds"] <= 15 for row in told["examples"])


def test_the_suite_passes_on_plain_processes(stack: RunningStack) -> None:
    check_suite(stack, "process")


@pytest.mark.docker
def test_the_suite_passes_on_a_docker_engine(docker_stack: RunningStack) -> None:
    check_suite(docker_stack, "docker")


def test_a_masked_failure_is_reported_though_the_exit_code_is_0(stack: RunningStack, tmp_path: Path) -> None:
    (tmp_path / "1-masked.toml").write_text(MASKED)
    ran = stack.manage("suite", "process", "--json", "--folder", str(tmp_path))
    (row,) = json.loads(ran.stdout)["examples"]
    assert (row["job"]["state"], row["job"]["exit_code"]) == ("succeeded", 0)
    assert row["problems"] == ["no line matches '^middle done$' where it was due"]
    assert ran.returncode == 1


def test_an_example_that_never_ends_is_given_up_and_cancelled(stack: RunningStack, tmp_path: Path) -> None:
    endless = MASKED.replace("echo start;", "sleep 60;")
    (tmp_path / "1-endless.toml").write_text(endless)
    ran = stack.manage("suite", "process", "--json", "--folder", str(tmp_path), "--timeout", "1")
    (row,) = json.loads(ran.stdout)["examples"]
    assert ran.returncode == 1
    assert "not over after 1 s" in row["problems"][0]
    assert stack.wait(row["job"])["state"] == "cancelled"


def test_a_suite_says_how_to_get_what_is_missing(stack: RunningStack) -> None:
    for runtime in ("docker" if stack.runtime == "process" else "process", "kubernetes"):
        no_worker = stack.manage("suite", runtime)
        assert (no_worker.returncode, f"no live worker offers {runtime}" in no_worker.stderr) == (1, True)


def test_a_running_platform_is_well(stack: RunningStack) -> None:
    asked = stack.manage("doctor", "--json")
    told = json.loads(asked.stdout)
    assert [finding for finding in told["findings"] if finding["level"] == "failed"] == []
    assert (asked.returncode, told["well"]) == (0, True)
    assert [finding["name"] for finding in told["findings"]] == [
        *(
            "python",
            "sqlite",
            "settings",
            "data folder",
            "log storage",
            "database",
            "migrations",
            "redis",
            "broker",
            "clock",
        ),
        *("docker", "process", "workers", "kubernetes", "trace-health"),
    ]


def test_workers_are_listed_with_what_they_offer(stack: RunningStack) -> None:
    (worker,) = json.loads(stack.manage("workers", "--state", "online", "--json").stdout)
    assert (worker["name"], worker["state"]) == (stack.env["TOWLINE_WORKER_NAME"], "online")
    shown = stack.manage("workers").stdout
    assert "● online" in shown
    assert f"/{worker['slots']}" in shown


def test_reconcile_says_that_nothing_is_amiss(stack: RunningStack) -> None:
    stack.run("true")
    assert set(json.loads(stack.manage("reconcile", "--json").stdout)) == {"cancelled", "handed_over", "lost", "placed"}
