"""What a spec may hold, and how it is told what is wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from jobs.needs import Needs
from jobs.quantities import MIB, to_bytes
from jobs.spec import field_errors, parse_spec

WHOLE: dict[str, Any] = {
    "name": "hello", "project": "default",
    "image": "busybox:1.36", "command": ["sh", "-c", "echo hello"], "entrypoint": None, "script": None,
    "env": {"A": "b"}, "working_dir": None, "user": None, "stdin": None, "tty": False,
    "runtime": None, "arch": None, "region": None, "labels": {"team": "ml"}, "requires": {"disk": "ssd"},
    "resources": {"cpus": 1, "memory": "512Mi", "disk": None, "gpus": 0, "pids": 512, "shm": "64Mi"},
    "timeouts": {"queue": None, "start": 600, "run": 3600, "idle": None, "grace": 10},
    "retry": {
        "max_attempts": 1, "backoff": 5, "factor": 2, "max_backoff": 300, "on": ["platform"], "memory_factor": 1.0,
    },
    "priority": 0, "concurrency": {"key": None, "limit": None}, "after": [], "run_at": None,
    "network": "bridge", "read_only": False, "secrets": [], "volumes": [], "inputs": {}, "outputs": [],
}  # fmt: skip


def errors_of(data: Any) -> dict[str, list[str]]:
    with pytest.raises(ValidationError) as caught:
        parse_spec(data)
    return field_errors(caught.value)


def test_the_body_of_the_contract_is_taken_and_given_back_as_it_was() -> None:
    assert parse_spec(WHOLE).model_dump(mode="json") == WHOLE


def test_all_but_the_image_has_a_default() -> None:
    spec = parse_spec({"image": "busybox"}).model_dump(mode="json")
    assert spec == {**WHOLE, "name": "", "image": "busybox", "command": None, "env": {}, "labels": {}, "requires": {}}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"image": ""}, "image"),
        ({"image": " "}, "image"),
        ({"image": "a\n"}, "image"),
        ({"image": "UPPER"}, "image"),
        ({"image": "UPPER/x"}, "image"),
        ({"image": "--privileged"}, "image"),
        ({"image": "http://x/y"}, "image"),
        ({"image": "../x"}, "image"),
        ({"image": "60"}, "image"),
        ({"image": "608d"}, "image"),
        ({"image": "x@sha256:short"}, "image"),
        ({"image": "x" * 5000}, "image"),
        ({"image": None}, "image"),
        ({"command": []}, "command"),
        ({"command": [""]}, "command"),
        ({"command": "echo"}, "command"),
        ({"command": [1]}, "command.0"),
        ({"command": ["a\0"]}, "command.0"),
        ({"command": ["\ud800"]}, "command.0"),
        ({"command": ["x", "y" * 131072]}, "command.1"),
        ({"command": ["x" * 1000] * 140}, "command"),
        ({"command": None, "script": " "}, "script"),
        ({"script": "echo"}, "script"),
        ({"env": {"": "x"}}, "env"),
        ({"env": {"A=B": "x"}}, "env"),
        ({"env": {"1A": "x"}}, "env"),
        ({"env": {"A": 5}}, "env.A"),
        ({"env": {"A": "\0"}}, "env.A"),
        ({"env": {f"K{n}": "" for n in range(10_000)}}, "env"),
        ({"working_dir": "here"}, "working_dir"),
        ({"user": "99999999999999"}, "user"),
        ({"user": "-1"}, "user"),
        ({"user": "a:b:c"}, "user"),
        ({"user": ":"}, "user"),
        ({"user": "root\n"}, "user"),
        ({"user": "é"}, "user"),
        ({"runtime": "podman"}, "runtime"),
        ({"labels": {"towline.job": "x"}}, "labels"),
        ({"labels": {"x" * 300: "y"}}, "labels.x"),
        ({"resources": {"cpus": -1}}, "resources.cpus"),
        ({"resources": {"cpus": 0}}, "resources.cpus"),
        ({"resources": {"cpus": 0.001}}, "resources.cpus"),
        ({"resources": {"cpus": True}}, "resources.cpus"),
        ({"resources": {"cpus": "1"}}, "resources.cpus"),
        ({"resources": {"memory": "abc"}}, "resources.memory"),
        ({"resources": {"memory": "1m"}}, "resources.memory"),
        ({"resources": {"memory": 0}}, "resources.memory"),
        ({"resources": {"memory": -1}}, "resources.memory"),
        ({"resources": {"memory": "1e30"}}, "resources.memory"),
        ({"resources": {"memory": 10**18}}, "resources.memory"),
        ({"resources": {"pids": 0}}, "resources.pids"),
        ({"resources": {"pids": -1}}, "resources.pids"),
        ({"resources": {"gpus": -1}}, "resources.gpus"),
        ({"resources": {"threads": 1}}, "resources.threads"),
        ({"timeouts": {"run": 0}}, "timeouts.run"),
        ({"timeouts": {"run": -1}}, "timeouts.run"),
        ({"timeouts": {"run": 10**12}}, "timeouts.run"),
        ({"timeouts": {"run": "5m"}}, "timeouts.run"),
        ({"retry": {"on": ["everything"]}}, "retry.on"),
        ({"retry": {"max_attempts": 0}}, "retry.max_attempts"),
        ({"retry": {"memory_factor": 0.5}}, "retry.memory_factor"),
        ({"priority": 10_000}, "priority"),
        ({"network": "host"}, "network"),
        ({"run_at": "2026-01-01T00:00:00"}, "run_at"),
        ({"after": ["x"]}, "after.0"),
        ({"volumes": ["/srv"]}, "volumes.0"),
        ({"volumes": ["/srv:/a:rx"]}, "volumes.0"),
        ({"volumes": [5]}, "volumes.0"),
        ({"volumes": [{"source": "/srv"}]}, "volumes.0.target"),
        ({"volumes": ["/srv/../etc:/a"]}, "volumes.0.source"),
        ({"volumes": ["srv:/a"]}, "volumes.0.source"),
        ({"volumes": ["/s\0rv:/a"]}, "volumes.0.source"),
        ({"volumes": ["/srv:a"]}, "volumes.0.target"),
        ({"volumes": ["/srv:/a/../b"]}, "volumes.0.target"),
        ({"volumes": ["/srv:/"]}, "volumes.0.target"),
        ({"volumes": ["/srv:/proc/1"]}, "volumes.0.target"),
        ({"volumes": ["/srv:/sys"]}, "volumes.0.target"),
        ({"volumes": ["/srv://dev/./shm"]}, "volumes.0.target"),
        ({"volumes": ["/srv:/a", "/etc:/a/"]}, "volumes"),
        ({"volumes": [{"source": "/srv", "target": "/a", "read_only": "no"}]}, "volumes.0.read_only"),
        ({"secrets": ["A", "1B"]}, "secrets.1"),
        ({"secrets": [5]}, "secrets.0"),
        ({"secrets": [{"name": "A-B", "env": "C"}]}, "secrets.0.name"),
        ({"secrets": [{"name": "A", "env": "C D"}]}, "secrets.0.env"),
        ({"secrets": [{"name": "A", "value": "hush"}]}, "secrets.0.value"),
        ({"secrets": ["A", {"name": "B", "env": "A"}]}, "secrets"),
        ({"secrets": ["TOWLINE_JOB_ID"]}, "secrets"),
        ({"secrets": ["A", "B"], "env": {"B": "1"}}, "secrets.1"),
        ({"concurrency": {"limit": 1}}, "concurrency"),
        ({"concurrency": {"key": ""}}, "concurrency.key"),
        ({"imagee": "x"}, "imagee"),
    ],
)
def test_what_is_wrong_is_named(change: dict[str, Any], field: str) -> None:
    errors = errors_of({**WHOLE, **change})
    assert any(name.startswith(field) for name in errors), errors
    assert all(message and "Value error" not in message for messages in errors.values() for message in messages)
    json.dumps(errors).encode()


def test_all_mistakes_are_told_at_once() -> None:
    assert set(errors_of({"image": "60", "priority": "high", "bogus": 1})) == {"image", "priority", "bogus"}


@pytest.mark.parametrize("body", [None, [], "text", 5, [WHOLE]])
def test_a_body_that_is_no_object_is_refused(body: Any) -> None:
    assert set(errors_of(body)) == {"body"}


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_no_input_is_too_strange_for_an_answer(data: Any) -> None:
    try:
        parse_spec({"image": "busybox", "resources": data, "env": data, "command": data})
    except ValidationError as error:
        assert field_errors(error)  # noqa: PT017 - passing is fine, too


@pytest.mark.parametrize(
    ("text", "size"),
    [(5, 5), ("512", 512), ("256Mi", 256 * MIB), ("1.5Gi", 1536 * MIB), ("1G", 10**9), ("2k", 2000)],
)
def test_quantities_mean_what_they_do_in_kubernetes(text: int | str, size: int) -> None:
    assert to_bytes(text) == size


def test_a_terminal_is_dockers_and_takes_no_stdin() -> None:
    assert list(errors_of({"image": "busybox", "tty": True, "stdin": "x"})) == ["tty"]
    assert list(errors_of({"image": "busybox", "tty": True, "runtime": "process"})) == ["tty"]
    assert Needs.of(parse_spec({"image": "busybox", "tty": True}).model_dump(mode="json")).runtime == "docker"
