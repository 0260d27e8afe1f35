"""The built image itself: what is in it, what is not, and who may write what. test_compose.py has it at work."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from tests.image.composed import TOWLINE
from tests.image.conftest import run

pytestmark = [pytest.mark.docker, pytest.mark.timeout(120)]


def test_nobody_in_there_is_root_or_may_change_the_program(inside: dict[str, Any], told: dict[str, Any]) -> None:
    assert (inside["ids"], told["Config"]["User"]) == ([10001, 10001], "10001:10001")
    assert inside["strangers"] == inside["writable"] == []
    assert inside["data"] == [True, True, True]


def test_it_has_no_compiler_and_no_folder_that_hides_the_docker_sdk(inside: dict[str, Any]) -> None:
    assert inside["tools"] == inside["wheels"] == []
    assert inside["folders"] == ["jobs", "manage.py", "platform", "static", "tracing", "workers"]
    assert "site-packages" in inside["docker"] and inside["clients"] == [True, True]
    assert inside["static"]


def test_it_holds_no_secret(inside: dict[str, Any], told: dict[str, Any]) -> None:
    words = ("SECRET", "PASSWORD", "TOKEN", "INDEX_URL", "PROXY")
    assert [line for line in told["Config"]["Env"] if any(word in line.upper() for word in words)] == []
    history = subprocess.run(
        ["docker", "history", "--no-trunc", "--format", "{{.CreatedBy}}", TOWLINE], capture_output=True, text=True, check=True
    ).stdout  # fmt: skip
    assert [word for word in ("TOWLINE_SECRET_KEY", "PIP_", "_PROXY", "_proxy") if word in history] == []


def test_it_says_what_it_is_and_is_not_large(told: dict[str, Any]) -> None:
    labels = told["Config"]["Labels"]
    assert labels["org.opencontainers.image.title"] == "Towline"
    assert {"version", "revision", "licenses"} <= {key.rpartition(".")[2] for key in labels}
    assert told["Size"] < 650_000_000


def test_without_a_secret_key_it_does_not_start_and_says_which_setting(inside: dict[str, Any]) -> None:
    refused = run("manage.py", "check")
    assert refused.returncode != 0 and "TOWLINE_SECRET_KEY" in refused.stderr


def test_it_works_with_a_root_that_is_read_only_and_without_any_capability(inside: dict[str, Any]) -> None:
    settings = ("TOWLINE_SECRET_KEY=of-a-test-and-long-enough-for-production", "DATABASE_URL=sqlite:////tmp/db")
    bare = ("--read-only", "--tmpfs", "/tmp", "--tmpfs", "/data:uid=10001", "--cap-drop", "ALL")
    options = (*bare, *(word for each in settings for word in ("-e", each)))
    migrated = run("manage.py", "migrate", "--no-input", "-v0", options=options)
    assert migrated.returncode == 0, migrated.stderr


@pytest.mark.parametrize(("role", "code"), [("web", 1), ("flower", 1), ("run", 0), ("control", 0), ("beat", 0)])
def test_the_health_check_asks_those_who_have_a_door(inside: dict[str, Any], role: str, code: int) -> None:
    """As the first process, it takes its own words for the role's; nobody serves anything here."""
    asked = run("-I", "platform/towline/healthcheck.py", "serve", role)
    assert asked.returncode == code, asked.stderr
