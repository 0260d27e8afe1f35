"""Where containers of this machine's engine reach the platform: only an engine that is here has such an address."""

from __future__ import annotations

from pathlib import Path

import pytest

from towline.bridge import address, listening


@pytest.mark.parametrize("engine", ["tcp://127.0.0.1:1", "ssh://somebody@far", "unix:///there/is/none.sock"])
def test_an_engine_that_is_not_here_has_none(engine: str) -> None:
    assert address(engine, 0) is None


def test_the_variable_of_the_docker_sdk_is_heard(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    assert address(None, 0) is None


@pytest.mark.docker
def test_a_port_that_is_taken_there_is_none() -> None:
    found = address(None, 0)
    assert found is not None
    with listening(found, 0) as taken:
        assert address(None, taken.getsockname()[1]) is None
