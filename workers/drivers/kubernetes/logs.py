"""Reading a pod's output."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from workers.drivers.kubernetes.connection import Cluster
from workers.drivers.output import Output
from workers.drivers.protocol import Phase


def follow(
    cluster: Cluster,
    namespace: str,
    pod: str,
    after: str | None,
    look: Callable[[], Phase],
    wait: Callable[[float], None],
    silence_seconds: float = 10,
) -> Iterator[Output]:
    return iter(())
