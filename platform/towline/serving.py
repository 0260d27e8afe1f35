"""Django's part of a request, and nothing but that part, in a thread: what is sent, and above all streams, is not.

Views and middleware are plain functions, and a request goes through all of them in one thread: Django's own handler
would go back to the event loop between any two, which took longer than most views. When the view has answered, Django's
part is over: its connection is given back and its thread is free for the next request. The answer is then sent from the
event loop, to readers as slow as they please. A streaming body asks the database with `jobs.looks.look`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import IO, Any

from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler, ASGIRequest
from django.db import connections
from django.http import HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase

WARM = 4  # threads that keep SQLite's connection for the next request; the others were needed for a moment only
AT_ONCE = 20  # with the threads that look, never more than there are connections in a pool on PostgreSQL
BODY_BYTES = 32 * 1024 * 1024  # more than any view takes
Message = Mapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Request:
    """What Django's handler is given as `receive`: the body is there before it begins, so that no thread waits for it."""

    def __init__(self, receive: Receive, body: IO[bytes]) -> None:
        self.receive = receive
        self.body = body

    async def __call__(self) -> Message:
        return await self.receive()


class Answer:
    """What it is given as `send`: it keeps the response."""

    response: HttpResponseBase | None = None

    async def __call__(self, message: Message) -> None:
        raise RuntimeError(f"{message['type']} is sent when Django is done")


def bounded(receive: Receive) -> Receive:
    """A body is kept in a file before anybody knows whose it is. One that does not end is cut, and the view says so."""
    left = BODY_BYTES

    async def receive_some() -> Message:
        nonlocal left
        message = await receive()
        left -= len(message.get("body", b""))
        return message if left >= 0 else {**message, "more_body": False}

    return receive_some


class Handler(ASGIHandler):
    def __init__(self) -> None:
        super().__init__()
        # Each is one thread, begun when first needed; the one used last is taken first, so that few are needed.
        self._threads: asyncio.LifoQueue[ThreadPoolExecutor] = asyncio.LifoQueue()
        for _ in range(AT_ONCE):
            self._threads.put_nowait(ThreadPoolExecutor(1, "request"))

    def load_middleware(self, is_async: bool = False) -> None:  # noqa: FBT001, FBT002 - as inherited
        super().load_middleware(is_async=False)

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise ValueError(f"no {scope['type']} here")
        try:
            body: IO[bytes] = await super().read_body(bounded(receive))
        except RequestAborted:
            return
        answer = Answer()
        thread = await self._threads.get()
        try:
            async with ThreadSensitiveContext(executor=thread):
                await self.handle(scope, Request(receive, body), answer)
                if self._threads.qsize() < AT_ONCE - WARM:
                    await sync_to_async(connections.close_all)()
        finally:
            self._threads.put_nowait(thread)
        if answer.response is not None:
            await self._send(answer.response, scope, receive, send)

    async def read_body(self, receive: Any) -> IO[bytes]:
        body: IO[bytes] = receive.body
        return body

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
        return await sync_to_async(self.get_response)(request)

    async def send_response(self, response: HttpResponseBase, send: Any) -> None:
        """Kept, to be sent when Django is done. A body that is no asynchronous one, a file's, is read while it is open."""
        if isinstance(response, StreamingHttpResponse) and not response.is_async:
            response.streaming_content = _each(await sync_to_async(lambda: list(response))())
        send.response = response

    async def _send(self, response: HttpResponseBase, scope: Any, receive: Receive, send: Send) -> None:
        """Until it is all sent, or nobody is there any more to read it. Who reads slowly is waited for, here and nowhere else."""
        if scope["method"] == "HEAD" and isinstance(response, StreamingHttpResponse):
            response.streaming_content = _each([])
        sending = asyncio.create_task(super().send_response(response, send))
        gone = asyncio.create_task(_gone(receive))
        try:
            await asyncio.wait({sending, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
            if not sending.done():
                sending.cancel()
        await asyncio.gather(sending, gone, return_exceptions=True)
        # Django does not close it, and a view and its response hold each other: it would be open until the next collection.
        if isinstance(body := getattr(response, "_iterator", None), AsyncGenerator):
            await body.aclose()
        if not sending.cancelled():
            sending.result()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _each(parts: Iterable[bytes]) -> AsyncIterator[bytes]:
    for part in parts:
        yield part
