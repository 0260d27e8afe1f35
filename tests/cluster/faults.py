"""What goes wrong, and when: switches that the parts of the cluster look at, and the requests that set them."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass, field, fields
from typing import Any


@dataclass
class Switchboard:
    """All off. Counts go down as they are used up."""

    gone_watches: int = 0  # so many watches are answered with 410
    silent_watches: bool = False  # no bytes come on watches, and they stay open
    too_many: int = 0  # so many requests are answered with 429
    retry_after: int = 1
    errors: int = 0  # so many requests are answered with 500
    error_every: int = 0  # every so many-th request is answered with 500
    slow_seconds: float = 0.0  # before every answer
    twice: bool = False  # events of watches come twice
    reorder: bool = False  # of events that come together, the order of different objects is turned around
    skew_seconds: float = 0.0  # how far the clock of the node is ahead
    denied: list[dict[str, str]] = field(default_factory=list)  # {verb, resource, subresource?, namespace?}
    api_away: str = ""  # "refuse" or "hang"
    streams_offered: bool = False  # `stream=` of logs is understood
    streams_dropped: str = ""  # by an older "api" server or an older "kubelet", which do not know the parameter
    follow_ends_at_rotation: bool = False
    lost_logs: list[str] = field(default_factory=list)  # names of pods whose logs the node has no more
    requests: int = 0  # seen so far

    def set(self, wanted: dict[str, Any]) -> None:
        known = {each.name for each in fields(self)}
        for name, value in wanted.items():
            if name not in known:
                raise KeyError(name)
            setattr(self, name, value)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def spend(self, name: str) -> bool:
        """Whether one was left."""
        left = getattr(self, name)
        setattr(self, name, max(0, left - 1))
        return bool(left)

    def denies(self, verb: str, resource: str, subresource: str, namespace: str) -> bool:
        asked = {"verb": verb, "resource": resource, "subresource": subresource, "namespace": namespace}
        return any(all(asked[key] == value for key, value in rule.items()) for rule in self.denied)


class Signal:
    """Wakes all that wait for a change, each time."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def ring(self) -> None:
        self._event.set()
        self._event = asyncio.Event()

    async def wait(self, seconds: float | None = None) -> bool:
        """False: nothing came in so long."""
        try:
            await asyncio.wait_for(self._event.wait(), seconds)
        except TimeoutError:
            return False
        return True
