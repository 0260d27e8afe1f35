"""Where containers of this machine's engine reach the platform: only an engine that is here has such an address."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from towline.bridge import address, guarded, listening


def test_an_engine_that_may_be_elsewhere_is_not_asked() -> None:
    with listening("127.0.0.1", 0) as far:
        far.setblocking(False)
        assert address(f"tcp://127.0.0.1:{far.getsockname()[1]}", 0) is None
        with pytest.raises(BlockingIOError):
            far.accept()


def test_where_no_engine_is_there_is_none() -> None:
    assert address("unix:///there/is/none.sock", 0) is None


@pytest.mark.parametrize(("server", "path", "status"), [
    ("172.17.0.1", "/api/v1/otlp/v1/traces", 200), ("172.17.0.1", "/v1/traces", 200), ("172.17.0.1", "/", 404),
    ("172.17.0.1", "/admin/login/", 404), ("172.17.0.1", "/api/v1/jobs/", 404), ("127.0.0.1", "/api/v1/jobs/", 200),
])  # fmt: skip
async def test_over_the_bridge_there_is_what_containers_call_and_nothing_else(
    server: str, path: str, status: int
) -> None:
    said: list[Any] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})

    async def receive() -> Any:
        raise AssertionError("nobody asked for the body")

    async def send(message: Any) -> None:
        said.append(message)

    scope = {"type": "http", "path": path, "server": (server, 8000)}
    await guarded(application, "172.17.0.1")(scope, receive, send)
    assert said[0]["status"] == status


def test_the_variable_of_the_docker_sdk_is_heard(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    assert address(None, 0) is None


@pytest.mark.docker
def test_a_port_that_is_taken_there_is_none() -> None:
    found = address(None, 0)
    assert found is not None
    with listening(found, 0) as taken:
        assert address(None, taken.getsockname()[1]) is None
