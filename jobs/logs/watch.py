"""One reader of the database for all in this event loop who wait for the same of a job."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from typing import Any, ClassVar, TypeVar
from uuid import UUID

from django.db import Error as DatabaseError

from jobs.looks import look
from jobs.models import Job

from .feed import Feed, feed

log = logging.getLogger(__name__)
HEARTBEAT_SECONDS = 10.0
W = TypeVar("W", bound="Watch")


class Watch:
    """Looks when there may be news and somebody waits for it, and wakes all who do.

    Those who are busy with what they have, a stalled reader above all, are not waited for. `ask` is run in a thread and
    changes nothing here; `take` gets its answer in the loop.
    """

    end: ClassVar[bool] = False  # only told when the job may be over

    def __init__(self, ours: Feed, job_id: UUID) -> None:
        self.job_id = job_id
        self.turn = asyncio.Event()
        self.failed = False
        self.followers = 0
        self._feed = ours
        self._news = asyncio.Event()
        self._wanted = asyncio.Event()
        self._begun = self._answered = 0  # looks, and the last of them that was answered
        self._task = asyncio.create_task(self._run())

    def ask(self) -> Any:
        raise NotImplementedError

    def take(self, answer: Any) -> bool:
        """Whether there is more to ask for at once."""
        raise NotImplementedError

    @property
    def over(self) -> bool:
        """Nothing more is told: the process ends, or the job is not there any more."""
        return self.failed or self._feed.closing.is_set()

    async def next(self, turn: asyncio.Event) -> None:
        """Until somebody looked since the caller took `turn` from here; after a heartbeat's time in any case."""
        self._wanted.set()
        await turn.wait()

    async def fresh(self) -> None:
        """Until a look that began after this call was answered: what others have found may be from before it."""
        needed = self._begun + 1
        self._news.set()
        while self._answered < needed and not self.over:
            await self.next(self.turn)

    def tell(self) -> None:
        told, self.turn = self.turn, asyncio.Event()
        told.set()

    def stop(self) -> None:
        self._task.cancel()

    async def _run(self) -> None:
        try:
            async with self._feed.follow(self.job_id, self._news, end=self.end):
                while not self.over:
                    await self._wanted.wait()
                    self._wanted.clear()
                    self._news.clear()
                    more = await self._look()
                    self.tell()
                    if not more:
                        await self._feed.wait(self._news)
        except Exception:
            log.exception("a mistake while watching job %s: its followers are sent away", self.job_id)
        finally:
            self.failed = True
            self.tell()

    async def _look(self) -> bool:
        """Looks once. While the database does not answer, followers hear that we are still here, and nothing else."""
        self._begun += 1
        asking = asyncio.ensure_future(look(self.ask))
        try:
            while not (await asyncio.wait({asking}, timeout=HEARTBEAT_SECONDS))[0]:
                self.tell()
            more = self.take(asking.result())
        except DatabaseError as error:
            log.warning("job %s can't be looked at just now: %s", self.job_id, error)
            return False
        else:
            self._answered = self._begun
            return more
        finally:
            asking.cancel()


class End(Watch):
    """Waits for nothing but the end of a job."""

    end = True
    final = False

    def ask(self) -> bool:
        return Job.objects.filter(pk=self.job_id, finished_at__isnull=False).exists()

    def take(self, answer: bool) -> bool:  # noqa: FBT001 - the answer of `ask`
        self.final = answer
        return False


@contextlib.asynccontextmanager
async def joined(kind: type[W], job_id: UUID) -> AsyncIterator[W]:
    """The watch of that kind for the job, which begins with its first follower and ends with its last.

    It has looked by then, after this was called.
    """
    ours = feed()
    watch = ours.watches.get((kind, job_id))
    if not isinstance(watch, kind) or watch.over:
        watch = ours.watches[kind, job_id] = kind(ours, job_id)
    watch.followers += 1
    try:
        await watch.fresh()
        yield watch
    finally:
        watch.followers -= 1
        if not watch.followers:
            watch.stop()
            if ours.watches.get((kind, job_id)) is watch:
                del ours.watches[kind, job_id]
