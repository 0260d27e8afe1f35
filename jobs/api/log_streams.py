"""A job's log as a live stream: server-sent events, or the bytes as text."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
from django.http import StreamingHttpResponse

from jobs.logs.following import Lines, Missing, News, Over, Silence, Step, follow
from jobs.logs.records import StoredLine

# Only CR and LF end a line of an event stream, but many clients split at these, too. In JSON they are the same escaped.
ODD_LINE_ENDS = (("\x85".encode(), b"\\u0085"), ("\u2028".encode(), b"\\u2028"), ("\u2029".encode(), b"\\u2029"))


@dataclass(frozen=True)
class Place:
    """Where a stream begins. `attempt` None: the newest; `alone`: only that attempt."""

    job: UUID
    attempt: int | None
    start: int
    stream: str | None
    alone: bool


def events(place: Place) -> StreamingHttpResponse:
    return _streaming(_frames(place), "text/event-stream")


def text(place: Place, *, limit: int | None, timestamps: bool) -> StreamingHttpResponse:
    """At most `limit` lines."""
    return _streaming(_text(place, limit, timestamps=timestamps), "text/plain; charset=utf-8")


def stamped(line: StoredLine) -> bytes:
    return line.time.encode() + b" " + line.data


async def _frames(place: Place) -> AsyncIterator[bytes]:
    yield b"retry: 1000\n\n"
    steps = follow(
        place.job, attempt=place.attempt, start=place.start, stream=place.stream, alone=place.alone, form=frame
    )
    async with aclosing(steps):
        async for step in steps:
            yield step.made(frame)


def frame(step: Step) -> bytes:
    """One server-sent event."""
    match step:
        case Lines(attempt=attempt, lines=lines):
            # The first attempt's ids are plain line numbers; later ones say which attempt they count in.
            identity = f"{lines[-1].n}" if attempt == 1 else f"{attempt}-{lines[-1].n}"
            return _event("lines", [line.as_json() for line in lines], identity)
        case Missing(gap=gap):
            return _event("gap", gap.as_json())
        case News(data=data):
            return _event("state", data)
        case Silence():
            return b": still here\n\n"
        case Over(data=data):
            return _event("end", data)


def _event(kind: str, data: Any, identity: str = "") -> bytes:
    """JSON has no raw newline, so output can't forge a frame."""
    numbered = f"id: {identity}\n".encode() if identity else b""
    body = orjson.dumps(data)
    for raw, escaped in ODD_LINE_ENDS:
        body = body.replace(raw, escaped)
    return b"event: " + kind.encode() + b"\n" + numbered + b"data: " + body + b"\n\n"


async def _text(place: Place, limit: int | None, *, timestamps: bool) -> AsyncIterator[bytes]:
    form = _stamped if timestamps else _plain
    left = limit
    steps = follow(
        place.job, attempt=place.attempt, start=place.start, stream=place.stream, alone=place.alone, form=form
    )
    async with aclosing(steps):
        async for step in steps:
            if not isinstance(step, Lines):
                continue
            if left is None or left > len(step.lines):
                yield step.made(form)
                left = None if left is None else left - len(step.lines)
            else:
                yield form(Lines(step.attempt, step.lines[:left]))
                return


def _plain(page: Lines) -> bytes:
    return b"".join(line.data for line in page.lines)


def _stamped(page: Lines) -> bytes:
    return b"".join(map(stamped, page.lines))


def _streaming(body: AsyncIterator[bytes], content_type: str) -> StreamingHttpResponse:
    return StreamingHttpResponse(
        body, content_type=content_type, headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    )
