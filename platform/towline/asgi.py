"""The web process. Open streams end the moment it is told to stop, so that clients go on elsewhere at once.

Views and middleware are plain functions, and a request goes through all of them in one thread: Django's own handler
would go back to the event loop between any two, which took longer than most views. Only streams run in the loop.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Awaitable, Callable, MutableMapping
from types import FrameType
from typing import IO, Any

import django
from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIHandler, ASGIRequest
from django.db import connection, connections
from django.http import HttpRequest
from django.http.response import HttpResponseBase

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "towline.settings")
django.setup(set_prefix=False)

from jobs.logs.feed import close_feeds  # noqa: E402 - needs the apps

Message = MutableMapping[str, Any]


class OneThreadHandler(ASGIHandler):
    def load_middleware(self, is_async: bool = False) -> None:  # noqa: FBT001, FBT002 - as inherited
        super().load_middleware(is_async=False)

    def create_request(
        self, scope: Any, body_file: IO[bytes]
    ) -> tuple[ASGIRequest, None] | tuple[None, HttpResponseBase]:
        """A chunked body says no length, and one of none would not be read: it is here by now, so say it."""
        made = super().create_request(scope, body_file)
        if made[0] is not None and not made[0].META.get("CONTENT_LENGTH"):
            made[0].META["CONTENT_LENGTH"] = str(body_file.seek(0, os.SEEK_END))
            body_file.seek(0)
        return made

    async def get_response_async(self, request: HttpRequest) -> HttpResponseBase:
        return await sync_to_async(self.get_response, thread_sensitive=True)(request)

    async def handle(self, scope: Any, receive: Any, send: Any) -> None:
        """Every request has a thread of its own, and that thread its connection: with SQLite's, which nobody else uses
        again and no pool keeps, hundreds of files would stay open until the garbage collector comes."""
        try:
            await super().handle(scope, receive, send)
        finally:
            if connection.vendor == "sqlite":
                await sync_to_async(connections.close_all)()


django_application = OneThreadHandler()


async def application(
    scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    if scope["type"] == "lifespan":
        await _live(receive, send)
    else:
        await django_application(scope, receive, send)  # type: ignore[arg-type]


async def _live(receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]) -> None:
    await receive()
    _end_streams_on(signal.SIGTERM)
    _end_streams_on(signal.SIGINT)
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


def _end_streams_on(number: signal.Signals) -> None:
    """uvicorn waits for open streams when it is told to stop, for its whole grace: end them first."""
    servers_own = signal.getsignal(number)

    def stop(signum: int, frame: FrameType | None) -> None:
        close_feeds()
        if callable(servers_own):
            servers_own(signum, frame)

    signal.signal(number, stop)
