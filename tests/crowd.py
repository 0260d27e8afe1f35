"""Many followers of one job's events in one event loop: each checks that it is given every line once, in order."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from tests.stack import RunningStack

NUMBER = re.compile(rb'"n":(\d+)')


@dataclass
class Follower:
    """It goes on behind the last line that it has seen when the stream breaks off, as a browser does."""

    stack: RunningStack
    job: str
    next: int = 1
    connected: int = 0
    wrong: list[str] = field(default_factory=list)
    end: dict[str, Any] = field(default_factory=dict)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)  # not set: it does not read

    async def follow(self) -> None:
        while not self.end:
            try:
                await self._follow_once()
            except (OSError, asyncio.IncompleteReadError, ValueError):
                await asyncio.sleep(0.1)

    async def _follow_once(self) -> None:
        address = urlsplit(self.stack.url)
        door = socket.socket()
        door.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
        door.setblocking(False)
        await asyncio.get_running_loop().sock_connect(door, (address.hostname, address.port))
        reader, writer = await asyncio.open_connection(sock=door, limit=64 * 1024)
        try:
            writer.write(self._request(address.netloc).encode())
            status = await reader.readuntil(b"\r\n\r\n")
            if b" 200 " not in status.split(b"\r\n")[0]:
                raise ValueError(status)
            self.connected += 1
            await self._read(reader)
        finally:
            writer.close()

    def _request(self, host: str) -> str:
        seen = f"Last-Event-ID: {self.next - 1}\r\n" if self.connected else ""
        token = f"Authorization: Bearer {self.stack.token}\r\nAccept: text/event-stream\r\n"
        return f"GET /api/v1/jobs/{self.job}/logs/ HTTP/1.1\r\nHost: {host}\r\n{token}{seen}\r\n"

    async def _read(self, reader: asyncio.StreamReader) -> None:
        waiting = bytearray()
        while True:
            await self.go_on.wait()
            size = int(await reader.readline(), 16)
            waiting += (await reader.readexactly(size + 2))[:-2]
            *events, rest = waiting.split(b"\n\n") if waiting.endswith(b"\n\n") or not size else [waiting]
            for event in events:
                self._take(bytes(event))
            waiting = bytearray(rest)
            if not size:
                return

    def _take(self, event: bytes) -> None:
        kind, _, data = event.partition(b"\ndata: ")
        if kind.startswith(b"event: lines"):
            numbers = [int(number) for number in NUMBER.findall(data)]
            if numbers != list(range(self.next, self.next + len(numbers))):
                self.wrong.append(f"expected {self.next}, got {numbers[0]} to {numbers[-1]}")
            self.next = numbers[-1] + 1
        elif kind.startswith(b"event: end"):
            self.end = json.loads(data)


async def gathered(followers: list[Follower], *, seconds: float) -> None:
    """Until all have seen the end."""
    async with asyncio.timeout(seconds):
        await asyncio.gather(*(follower.follow() for follower in followers))
