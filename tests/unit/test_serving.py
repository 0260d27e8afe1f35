from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from django.http import StreamingHttpResponse

from towline.serving import BODY_BYTES, Handler, Message, bounded


async def test_a_body_that_does_not_end_is_cut() -> None:
    async def receive() -> Message:
        return {"type": "http.request", "body": b"x" * 1024 * 1024, "more_body": True}

    some, read = bounded(receive), 0
    async with asyncio.timeout(20):
        while (message := await some())["more_body"]:
            read += len(message["body"])
    assert read == BODY_BYTES


async def test_a_reader_that_stalls_and_vanishes_ends_its_stream_at_once() -> None:
    """Though the response itself lives on, as those of views do until they are collected."""
    stalled, closed = asyncio.Event(), asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"more"
        finally:
            closed.set()

    async def send(message: Message) -> None:
        if message.get("body"):
            stalled.set()
            await asyncio.sleep(60)

    async def receive() -> Message:
        await stalled.wait()
        return {"type": "http.disconnect"}

    response = StreamingHttpResponse(body())
    async with asyncio.timeout(5):
        await Handler()._send(response, {"type": "http", "method": "GET"}, receive, send)
    assert closed.is_set()
    assert response.is_async
