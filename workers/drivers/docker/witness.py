"""Whether the engine was stopped and started again while a container ran: it takes containers along, and says nothing of it.

An engine without live-restore sends TERM and then KILL to all containers when it stops, or kills what it finds running
when it comes back after a crash; a machine that went down leaves 255. The container shows an exit code and a time as if
the program had ended by itself. What the engine does know, and what outlives our own processes:

* the default bridge network is made anew at every start of an engine that has no container left running;
* the events since its start, the last 256 of them. If the container's start is among them, there was no restart since.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from docker.errors import NotFound

from workers.drivers.docker.connection import CONNECT_SECONDS, Connection
from workers.drivers.docker.observe import moment
from workers.drivers.protocol import Observation

EVENTS_KEPT = 256
TAKEN_ALONG = (137, 143)  # killed, or ended by the TERM before
UNKNOWN_EXIT = 255  # the engine found it dead when it came back
LONGEST_OUTAGE = timedelta(hours=1)  # what ended by a signal longer before the engine's start had another reason
STOPPING = timedelta(seconds=30)  # from the first TERM until the engine that is started at once is there again
FOUND_DEAD = timedelta(seconds=10)  # between the look for what still lives and the network


@dataclass(frozen=True)
class Witness:
    """`up_since`: the engine's last start. `saw_start`: of the container. `kills`: signals it was asked to send it."""

    up_since: datetime | None
    saw_start: bool
    live_restore: bool
    kills: tuple[str, ...] = ()

    def took_along(self, seen: Observation) -> bool:
        """Whether it was the engine's stop that ended the container."""
        if self.saw_start or not (self.up_since and seen.started_at and seen.finished_at):
            return False
        if seen.started_at >= self.up_since:
            return False
        ended_before = self.up_since - seen.finished_at
        if self.live_restore:
            return seen.exit_code == UNKNOWN_EXIT and timedelta(0) <= ended_before < FOUND_DEAD
        return ended_before < (LONGEST_OUTAGE if seen.exit_code in (*TAKEN_ALONG, UNKNOWN_EXIT) else STOPPING)


def witness_of(connection: Connection, uid: str) -> Witness:
    """Asked over a connection of its own: an engine that is stopping still answers over those it has, and takes no new ones."""
    with connection.anew() as fresh:
        info = fresh.client.info()
        now = moment(info["SystemTime"])
        events = list(_events(fresh, now)) if now else []
        up_since = _bridge_made_at(fresh) or _first_of(events, now)
    ours = [event for event in events if (event.get("Actor") or {}).get("ID") == uid]
    return Witness(
        up_since,
        saw_start=any(event.get("Action") == "start" for event in ours),
        live_restore=bool(info.get("LiveRestoreEnabled")),
        kills=tuple(_signal_of(event) for event in ours if event.get("Action") == "kill"),
    )


def _bridge_made_at(connection: Connection) -> datetime | None:
    """None where the engine is set up without one."""
    try:
        network = connection.client.inspect_network("bridge")
    except NotFound:
        return None
    return moment(network["Created"])


def _events(connection: Connection, until: datetime) -> Iterator[Mapping[str, Any]]:
    """All that the engine still has. `until` by its own clock: one that lies ahead of it would be waited for."""
    asked = {"since": "0", "until": f"{until.timestamp():.6f}"}
    with closing(
        connection.request("GET", "/events", params=asked, read_seconds=CONNECT_SECONDS, stream=True)
    ) as answer:
        for line in answer.iter_lines():
            if line:
                yield json.loads(line)


def _first_of(events: list[Mapping[str, Any]], now: datetime | None) -> datetime | None:
    """Of an engine without a bridge that still has every event since its start; None where older ones were dropped."""
    if len(events) >= EVENTS_KEPT:
        return None
    return datetime.fromtimestamp(events[0]["timeNano"] / 1e9, UTC) if events else now


def _signal_of(event: Mapping[str, Any]) -> str:
    return str(event["Actor"].get("Attributes", {}).get("signal", "?"))
