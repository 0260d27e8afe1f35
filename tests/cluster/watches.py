"""Watches: from a version on, by selectors, with bookmarks and an end, and with whatever the switchboard does to them."""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

from .faults import Signal, Switchboard
from .problems import Problem, expired
from .selectors import Test
from .store import Change, Store

BOOKMARK_SECONDS = 10.0  # the real one: about a minute
LONGEST_SECONDS = 1800.0


@dataclass(frozen=True)
class Wanted:
    resource: str
    kind: str
    api_version: str
    namespace: str | None
    test: Test
    version: str
    seconds: float
    bookmarks: bool
    initial: bool


class Watch:
    def __init__(self, store: Store, faults: Switchboard, wanted: Wanted) -> None:
        self.store, self.faults, self.wanted = store, faults, wanted
        self.waiting: deque[Change] = deque()
        self.seen = store.version
        self.signal = Signal()

    def __enter__(self) -> Watch:
        self.store.listeners.append(self._take)
        return self

    def __exit__(self, *exception: object) -> None:
        self.store.listeners.remove(self._take)

    def _take(self, change: Change) -> None:
        if change.resource == self.wanted.resource and self._place(change):
            self.waiting.append(change)
        self.signal.ring()

    def _place(self, change: Change) -> bool:
        return self.wanted.namespace in (None, change.now["metadata"].get("namespace"))

    def begin(self) -> bytes:
        """What is sent at once: the state, or what happened since the version that was asked for."""
        if self.faults.spend("gone_watches"):
            return _error(expired(int(self.wanted.version or 0), self.store.version))
        if self.wanted.version in ("", "0") or self.wanted.initial:
            return b"".join(self._state())
        asked = int(self.wanted.version)
        if asked < self.store.forgotten:
            return _error(expired(asked, self.store.forgotten))
        changes = [each for each in self.store.since(asked) if each.resource == self.wanted.resource]
        return self._encode([each for each in changes if self._place(each)])

    def _state(self) -> Iterator[bytes]:
        for each in self.store.list(self.wanted.resource, self.wanted.namespace):
            if self.wanted.test(each):
                yield _event("ADDED", json.dumps(each, separators=(",", ":")).encode())
        if self.wanted.initial:
            yield self._bookmark({"k8s.io/initial-events-end": "true"})

    def _bookmark(self, annotations: dict[str, str] | None = None) -> bytes:
        metadata: dict[str, Any] = {"resourceVersion": str(self.store.version)}
        if annotations:
            metadata["annotations"] = annotations
        obj = {"kind": self.wanted.kind, "apiVersion": self.wanted.api_version, "metadata": metadata}
        return _event("BOOKMARK", json.dumps(obj).encode())

    async def go_on(self) -> AsyncIterator[bytes]:
        """Until the time that was asked for is over."""
        ends_at, next_at = time.monotonic() + self.wanted.seconds, time.monotonic() + BOOKMARK_SECONDS
        while (now := time.monotonic()) < ends_at:
            silent = self.faults.silent_watches or self.faults.api_away == "hang"
            if self.waiting and not silent:
                await asyncio.sleep(0)  # what comes together goes together
                changes = list(self.waiting)
                self.waiting.clear()
                if data := self._encode(changes):
                    yield data
            elif now >= next_at:
                next_at = now + BOOKMARK_SECONDS
                if self.wanted.bookmarks and not silent:
                    yield self._bookmark()
            else:
                await self.signal.wait(min(ends_at, next_at) - now)

    def _encode(self, changes: list[Change]) -> bytes:
        if self.faults.reorder:  # of one object the order always holds
            last = {change.now["metadata"]["uid"]: -number for number, change in enumerate(changes)}
            changes = sorted(changes, key=lambda change: last[change.now["metadata"]["uid"]])
        told = [data for change in changes if (data := self._told(change))]
        return b"".join(data * 2 for data in told) if self.faults.twice else b"".join(told)

    def _told(self, change: Change) -> bytes:
        """What the change is to somebody who sees only what the selectors let through."""
        test = self.wanted.test
        is_in, was_in = test(change.now), change.before is not None and test(change.before)
        if change.verb == "DELETED":
            return _event("DELETED", change.encoded) if was_in else b""
        if not is_in:
            return _event("DELETED", change.encoded) if was_in else b""
        return _event("MODIFIED" if was_in else "ADDED", change.encoded)


def _event(verb: str, encoded: bytes) -> bytes:
    return b'{"type":"%s","object":%s}\n' % (verb.encode(), encoded)


def _error(problem: Problem) -> bytes:
    return _event("ERROR", json.dumps(problem.status).encode())
