"""An export as a download, made while it is sent."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from django.utils import timezone

from jobs.looks import look
from jobs.models import Job

from .forms import DEFAULT, FORMS


def attachment(jobs: QuerySet[Job], form: str = DEFAULT, name: str = "") -> StreamingHttpResponse:
    """`name`: of the file, without its ending. A download that breaks off is no archive: it has no end."""
    made = FORMS[form].pieces(jobs, lambda count: None)
    called = name or f"towline-logs-{timezone.now():%Y%m%dT%H%M%SZ}"
    headers = {
        "Content-Disposition": f'attachment; filename="{called}.{form}"',
        "Cache-Control": "no-store",
        "X-Accel-Buffering": "no",
    }
    return StreamingHttpResponse(_in_thread(made), content_type=FORMS[form].media_type, headers=headers)


async def _in_thread(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Each piece is made in a thread: the event loop waits neither for the database nor for the compression."""
    while (piece := await look(lambda: next(pieces, None))) is not None:
        yield piece
