"""A platform on a Redis of the test's own, for tests that break it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.redis_server import RedisServer
from tests.stack import RunningStack, run_stack


@pytest.fixture(scope="session")
def server() -> Iterator[RedisServer]:
    started = RedisServer()
    started.start()
    yield started
    started.remove()


@pytest.fixture(scope="session")
def platform(server: RedisServer) -> Iterator[RunningStack]:
    """With two slots, and so quick in its suspicions that a test can wait for them."""
    quick = {"TOWLINE_HEARTBEAT_SECONDS": "0.5", "TOWLINE_LEASE_SECONDS": "1.5", "TOWLINE_SLOTS": "2"}
    with run_stack("process", REDIS_URL=server.url, **quick) as running:
        yield running
