"""Verdicts from what an engine said, as recorded from Docker 20.10."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from workers.drivers.docker.judge import judge
from workers.drivers.docker.observe import observe
from workers.drivers.docker.pull_errors import cause_of, pull_verdict
from workers.drivers.docker.refusals import refusal
from workers.drivers.protocol import ContainerSpec, Handle, Observation, Phase

NEVER = "0001-01-01T00:00:00Z"


def seen(exit_code: int = 0, *, error: str = "", oom: bool = False, status: str = "exited", **raw: Any) -> Observation:
    state = {"Status": status, "ExitCode": exit_code, "OOMKilled": oom, "Error": error}
    answer = {
        "Id": "c0ffee",
        "Name": "/i-j-a1",
        "Created": "2026-11-21T23:43:47.7Z",
        "Path": "nosuch",
        "Args": [],
        "Image": "sha256:1",
        "Config": {"Image": "demo:1", "User": "bob", "WorkingDir": "/w", "Labels": {}, "Env": ["SECRET=1"]},
        "HostConfig": {"Memory": 12 << 20},
        "State": state | {"StartedAt": NEVER, "FinishedAt": NEVER},
    }
    return observe(answer | raw, "engine")


def code_of(observation: Observation) -> str | None:
    verdict = judge(observation)
    return None if verdict is None else verdict.code


def test_success_needs_no_verdict() -> None:
    assert judge(seen(0)) is None
    assert judge(seen(0, oom=True)) is None


@pytest.mark.parametrize(
    ("exit_code", "oom", "code"),
    [
        (1, False, "exit_code"),
        (126, False, "exit_code"),
        (127, False, "exit_code"),
        (255, False, "exit_code"),
        (128, False, "exit_code"),
        (200, False, "exit_code"),
        (137, False, "killed_by_signal"),
        (143, False, "killed_by_signal"),
        (139, False, "killed_by_signal"),
        (137, True, "oom_killed"),
        (1, True, "oom_child"),
    ],
)
def test_exit_codes_and_the_kernel(exit_code: int, oom: bool, code: str) -> None:
    assert code_of(seen(exit_code, oom=oom)) == code


def test_a_signal_is_named() -> None:
    verdict = judge(seen(143))
    assert verdict is not None
    assert "SIGTERM" in verdict.summary


@pytest.mark.parametrize(
    ("exit_code", "error", "code", "word"),
    [
        (127, 'exec: "nosuch": executable file not found in $PATH', "command_not_found", "nosuch"),
        (127, "[FATAL tini (7)] exec nosuch failed: No such file or directory", "command_not_found", "nosuch"),
        (126, "[FATAL tini (7)] exec nosuch failed: Permission denied", "command_not_executable", "nosuch"),
        (126, 'OCI runtime create failed: exec: "/tmp": permission denied', "command_not_executable", "nosuch"),
        (1, "[FATAL tini (7)] exec nosuch failed: Exec format error", "wrong_platform", "nosuch"),
        (128, "unable to find user bob: no matching entries in passwd file", "bad_user", "bob"),
        (128, 'chdir to cwd ("/w") set in config.json failed: permission denied', "bad_working_dir", "/w"),
        (128, "mkdir /var/lib/docker/overlay2/x: no space left on device", "disk_full", "space"),
        (128, 'could not select device driver "" with capabilities: [[gpu]]', "unschedulable", "GPU"),
        (128, "network nosuch not found", "invalid_spec", "asked for"),
        (128, "something new", "internal_error", "could not start"),
    ],
)  # fmt: skip
def test_a_failed_start_is_told_by_the_engines_words(exit_code: int, error: str, code: str, word: str) -> None:
    observation = seen(exit_code, error=error, status="created")
    verdict = judge(observation)
    assert verdict is not None
    assert (observation.phase, observation.exit_code, verdict.code) == (Phase.EXITED, exit_code, code)
    assert word in verdict.summary
    assert verdict.evidence[0] == error
    assert verdict.remedy


def test_a_program_for_another_processor_is_told_from_a_missing_one() -> None:
    plain = seen(127, error="[FATAL tini (7)] exec nosuch failed: No such file or directory")
    raw = {**plain.raw, "ImageArchitecture": "arm64", "EngineArchitecture": "amd64"}
    assert code_of(dataclasses.replace(plain, raw=raw)) == "wrong_platform"


def test_an_unexplained_end_keeps_the_engines_words() -> None:
    verdict = judge(seen(137))
    assert verdict is not None
    assert "OOMKilled: False" in verdict.evidence


def test_the_environment_is_not_evidence() -> None:
    assert "SECRET" not in str(seen(1).raw)


def test_what_has_not_ended_is_not_judged() -> None:
    with pytest.raises(ValueError, match="not ended"):
        judge(seen(status="running"))


def test_a_container_that_is_gone_has_vanished() -> None:
    assert code_of(Observation(Handle("docker", "n", "u", "p"), Phase.GONE)) == "container_vanished"


def test_created_without_an_error_is_waiting_for_its_start() -> None:
    observation = seen(status="created")
    assert (observation.phase, observation.exit_code) == (Phase.CREATED, None)


@pytest.mark.parametrize(
    ("status", "text", "code"),
    [
        (404, "No such image: nosuch:latest", "image_not_found"),
        (404, "image with reference x was found but does not match the specified platform", "image_wrong_platform"),
        (400, "Range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available", "unschedulable"),
        (400, "Minimum memory limit allowed is 6MB", "invalid_spec"),
        (400, "the working directory 'x' is invalid, it needs to be an absolute path", "bad_working_dir"),
        (500, "Cannot mkdir: /etc/passwd is not a directory", "bad_working_dir"),
        (500, "lstat /var/lib/docker/overlay2/f8/merged/etc/passwd/x: not a directory", "bad_working_dir"),
        (500, "something new", None),
    ],
)  # fmt: skip
def test_a_refused_create(status: int, text: str, code: str | None) -> None:
    verdict = refusal(status, text, ContainerSpec("n", {}, "demo:1", command=("x",)))
    assert (verdict and verdict.code) == code


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("manifest for localhost:5000/demo:2 not found: manifest unknown: manifest unknown", "image_not_found"),
        ("pull access denied for x, repository does not exist or may require 'docker login'", "image_not_found"),
        ("Get https://r.io/v2/: no basic auth credentials", "image_unauthorized"),
        ("unauthorized: authentication required", "image_unauthorized"),
        ("error parsing HTTP 403 response body: denied: requested access", "image_unauthorized"),
        ("Get https://r.invalid/v2/: dial tcp: lookup r.invalid: no such host", "image_registry_unreachable"),
        ("dial tcp 127.0.0.1:1: connect: connection refused", "image_registry_unreachable"),
        ("received unexpected HTTP status: 502 Bad Gateway", "image_registry_unreachable"),
        ("toomanyrequests: You have reached your pull rate limit", "image_registry_unreachable"),
        ("no matching manifest for linux/arm64 in the manifest list entries", "image_wrong_platform"),
        ("invalid reference format: repository name must be lowercase", "image_invalid_name"),
        ("failed to register layer: write /x: no space left on device", "disk_full"),
        ("filesystem layer verification failed for digest sha256:1", "image_pull_failed"),
    ],
)  # fmt: skip
def test_why_a_pull_failed(text: str, code: str) -> None:
    assert cause_of(text) == code
    assert pull_verdict(code, "demo:1", None, text).evidence == (text,)
