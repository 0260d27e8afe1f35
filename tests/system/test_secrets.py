"""Secrets on running platforms: jobs have them, and nothing that Towline keeps has them in clear."""

from __future__ import annotations

import os
import signal
import uuid
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from tests.stack import RunningStack, eventually

# Plain, in parts, in every base64 alignment, in JSON, in a URL, on stderr, over a frame of 16 KiB, and at the end of all.
SAY_ALL = r"""
echo "plain $KEY $KEY"; echo "to stderr: $KEY" >&2
printf 'in parts: %s-' "${KEY%-*}"; sleep 0.2; printf '%s\n' "${KEY##*-}"
for before in '' x xy; do printf '%s%s\n' "$before" "$KEY" | base64; done
printf '%s\n' "$KEY" | sed 's/"/\\"/g'
printf '%s\n' "$KEY" | sed 's/"/%22/g; s,/,%2F,g; s/+/%2B/g'
printf '%s\n' "$KEY" | sed 's/"/%22/g; s,/,%2f,g; s/+/%2b/g'
head -c 16370 /dev/zero | tr '\0' a; echo "$KEY"
echo "$LINES_OF_IT"; echo "$LINES_OF_IT" | sed 's/^/> /' >&2
printf 'no newline %s' "$KEY"
"""


@pytest.fixture(params=["stack", pytest.param("docker_stack", marks=pytest.mark.docker)])
def platform(request: pytest.FixtureRequest) -> RunningStack:
    running: RunningStack = request.getfixturevalue(request.param)
    return running


def keep(stack: RunningStack, value: str) -> str:
    """The name of a new secret."""
    name = f"S_{uuid.uuid4().hex}"
    answer = stack.http.post("/secrets/", json={"name": name, "value": value})
    assert answer.status_code == 201, answer.text
    return name


def kept_files(stack: RunningStack) -> Iterator[tuple[Path, bytes]]:
    for path in stack.data_dir.rglob("*"):
        if path.is_file() and not path.is_fifo():
            yield path, path.read_bytes()


def in_redis(stack: RunningStack) -> bytes:
    client = Redis(unix_socket_path=str(stack.data_dir / "redis" / "redis.sock"))
    return b"".join(client.dump(key) or b"" for key in client.scan_iter())


def test_what_a_job_writes_of_its_secrets_is_masked_and_kept_nowhere(platform: RunningStack) -> None:
    token = uuid.uuid4().hex
    key, lines = f'p"q/{token}+z-{token[::-1]}', f"first {token[:20]}\n{token[3:28]} second\nthird"
    secrets = [{"name": keep(platform, key), "env": "KEY"}, {"name": keep(platform, lines), "env": "LINES_OF_IT"}]
    job = platform.run("sh", "-c", SAY_ALL, secrets=secrets)
    assert job["state"] == "succeeded", job["verdict"]
    output = platform.output(job)
    words = [token[at : at + 8].encode() for at in range(24)] + [token[::-1][at : at + 8].encode() for at in range(24)]
    words += [b64encode(b"." * before + token.encode())[4:28] for before in range(3)]
    assert not [word for word in words if word in output]
    stdout = platform.output(job, stream="stdout").decode().splitlines()
    assert stdout[:2] == ["plain *** ***", "in parts: ***"]
    assert stdout[-4:] == ["***", "***", "***", "no newline ***"]
    assert "a" * 16370 + "***" in stdout
    assert platform.output(job, stream="stderr") == b"to stderr: ***\n> ***\n> ***\n> ***\n"
    eventually(lambda: "removed" in platform.events(job))
    assert not [path for path, data in kept_files(platform) if token.encode() in data]
    assert token.encode() not in in_redis(platform)
    told = [
        platform.http.get(f"/{path}").text for path in (f"jobs/{job['id']}/", f"jobs/{job['id']}/attempts/", "secrets/")
    ]
    assert token not in "".join(told)


def test_what_waits_for_the_rest_of_a_secret_is_masked_by_the_next_worker(stack: RunningStack, tmp_path: Path) -> None:
    """Killed while it held a line back that begins a secret."""
    token = uuid.uuid4().hex
    name = keep(stack, f"six\n{token}")
    wait = (
        f'echo "${name}" | {{ read one; echo begun; echo $one; until [ -e {tmp_path}/go ]; do sleep 0.05; done; cat; }}'
    )
    job = stack.submit("sh", "-c", wait, secrets=[name])
    eventually(lambda: [line["text"] for line in stack.lines(job)] == ["begun"])
    before = stack.pid_of("run")
    os.kill(before, signal.SIGKILL)
    (tmp_path / "go").touch()
    assert stack.wait(job)["state"] == "succeeded"
    assert stack.output(job) == b"begun\n***\n***\n"


def test_the_command_sets_and_submits(stack: RunningStack) -> None:
    name, token = f"S_{uuid.uuid4().hex}", uuid.uuid4().hex
    done = stack.manage("secret", "set", name, input=f"{token}\n")
    assert (done.returncode, done.stdout) == (0, f"{name} of project default is set\n"), done.stderr
    say = ["sh", "-c", "echo ${#TOKEN} $TOKEN"]
    small: list[Any] = ["--memory", "32Mi", "--cpus", "0.1", "--runtime", stack.runtime, "--follow"]
    done = stack.manage("submit", "x:1", f"--secret={name}=TOKEN", *small, "--", *say)
    assert (done.returncode, done.stdout) == (0, "32 ***\n"), done.stderr
    done = stack.manage("submit", "x:1", "--secret=NO_SUCH", "--", "true")
    assert done.returncode != 0 and "manage.py secret set NO_SUCH" in done.stderr
