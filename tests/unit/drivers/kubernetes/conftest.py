"""An API server for each test that asks for one, found as the driver finds any: by KUBECONFIG."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.unit.drivers.kubernetes.api import Answer, Api, Asked, served
from tests.unit.drivers.kubernetes.namespace import Namespace

Serve = Callable[[Callable[[Asked], Answer]], Api]


@pytest.fixture
def serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    with ExitStack() as stack:

        def start(answer: Callable[[Asked], Answer]) -> Api:
            api = stack.enter_context(served(answer, tmp_path))
            monkeypatch.setenv("KUBECONFIG", str(api.kubeconfig))
            return api

        yield start


@pytest.fixture
def namespace() -> Namespace:
    return Namespace()


@pytest.fixture
def api(serve: Serve, namespace: Namespace) -> Api:
    """With one namespace, whose pods live as a test says."""
    return serve(namespace)
