"""What wakes those who watch jobs in an event loop: Redis at once, the poll a little later without it.

It only says that something may be new. What is read is always the database, see `jobs.logs.watch`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING
from uuid import UUID

import redis.asyncio
from django.conf import settings
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from jobs.hints import channel

if TYPE_CHECKING:
    from .watch import Watch

log = logging.getLogger(__name__)
POLL_SECONDS = 1.0
RECONNECT_SECONDS = 1.0
CATCHING_UP = 2  # readers of old lines at once: fewer than there are threads, so that what is new never waits for them


class Feed:
    """Wakes the watches of jobs in this event loop. One Redis subscription for all of them."""

    def __init__(self) -> None:
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self._listener: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()  # who waits for what: the listener subscribes anew
        self.closing = asyncio.Event()
        self.watches: dict[tuple[type[Watch], UUID], Watch] = {}
        self.catching_up = asyncio.Semaphore(CATCHING_UP)
        self.loop = asyncio.get_running_loop()

    @contextlib.asynccontextmanager
    async def follow(self, job_id: UUID, news: asyncio.Event, *, end: bool = False) -> AsyncIterator[None]:
        """Sets `news` whenever the job may have something new; who waits for that clears it before looking.

        `end`: only when it may be over. A job has ten things to tell before that, each of which would cost a look.
        """
        name = channel(job_id, end=end)
        self._waiting.setdefault(name, set()).add(news)
        self._changed.set()
        if self._listener is None or self._listener.done():
            self._listener = asyncio.create_task(self._listen())
        try:
            yield
        finally:
            self._waiting[name].discard(news)
            if not self._waiting[name]:
                del self._waiting[name]
                self._changed.set()

    async def wait(self, news: asyncio.Event, seconds: float = POLL_SECONDS) -> None:
        """Until there is news, the poll is due, or the process is closing."""
        # Not wait_for: before Python 3.12 it loses a cancel that comes together with the news, and the follower stays.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await news.wait()

    def close(self) -> None:
        """The process ends: wake everybody, so that streams end at once and clients resume elsewhere."""
        self.closing.set()
        self._wake(*self._waiting)
        for watch in self.watches.values():
            watch.tell()
        if self._listener:
            self._listener.cancel()

    def _wake(self, *names: str) -> None:
        for name in names:
            for news in self._waiting.get(name, ()):
                news.set()

    async def _listen(self) -> None:
        """The one that talks to Redis. Whatever goes wrong there costs followers their poll interval, nothing else."""
        while self._waiting and not self.closing.is_set():
            try:
                await self._listen_once()
            except (RedisError, OSError) as error:
                log.debug("followers poll, Redis does not answer: %s", error)
                await asyncio.sleep(RECONNECT_SECONDS)
            except Exception as error:  # noqa: BLE001 - the loop's border
                log.warning("followers poll, listening failed: %r", error)
                await asyncio.sleep(RECONNECT_SECONDS)

    async def _listen_once(self) -> None:
        client = redis.asyncio.Redis.from_url(settings.TOWLINE.redis_url, socket_connect_timeout=1)
        async with client, client.pubsub(ignore_subscribe_messages=True) as pubsub:
            subscribed = await self._subscribe(pubsub, set())
            reader = asyncio.create_task(self._read(pubsub))
            try:
                while self._waiting:
                    changed = asyncio.create_task(self._changed.wait())
                    await asyncio.wait({reader, changed}, return_when=asyncio.FIRST_COMPLETED)
                    changed.cancel()
                    if reader.done():
                        return reader.result()
                    subscribed = await self._subscribe(pubsub, subscribed)
            finally:
                reader.cancel()

    async def _subscribe(self, pubsub: PubSub, before: set[str]) -> set[str]:
        """To what is waited for now, and to nothing else."""
        self._changed.clear()
        wanted = set(self._waiting)
        if fresh := wanted - before:
            await pubsub.subscribe(*fresh)
            # Whatever came before the subscription was not told: look once.
            self._wake(*fresh)
        if stale := before - wanted:
            await pubsub.unsubscribe(*stale)
        return wanted

    async def _read(self, pubsub: PubSub) -> None:
        while True:
            message = await pubsub.get_message(timeout=5)
            if message:
                self._wake(message["channel"].decode())


_feeds: dict[asyncio.AbstractEventLoop, Feed] = {}


def feed() -> Feed:
    """The feed of the running event loop."""
    loop = asyncio.get_running_loop()
    for closed in [other for other in _feeds if other.is_closed()]:
        del _feeds[closed]
    if loop not in _feeds:
        _feeds[loop] = Feed()
    return _feeds[loop]


def close_feeds() -> None:
    """From any thread, a signal handler's too."""
    for loop, each in list(_feeds.items()):
        loop.call_soon_threadsafe(each.close)
