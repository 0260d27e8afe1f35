"""All lines as JSON, one object a line: `{job, attempt, n, time, stream, text}`, in the order of jobs, attempts and lines.

`text` is for show, as everywhere: what is not UTF-8 is replaced. The exact bytes are in the archive. In place of a log
that retention removed there is one `{job, attempt, dropped_at, lines, bytes}`.
"""

from __future__ import annotations

from collections.abc import Iterator

import orjson
from django.db.models import QuerySet

from jobs.logs.reader import read_lines
from jobs.models import Attempt, Job

from .chosen import Tell, attempts_of, each

PIECE_BYTES = 256 * 1024


def rows(jobs: QuerySet[Job], tell: Tell = lambda count: None) -> Iterator[bytes]:
    """The lines in pieces that end with one."""
    piece = bytearray()
    for job in each(jobs):
        for attempt in attempts_of(job):
            for row in _rows_of(attempt, tell):
                piece += row
                if len(piece) >= PIECE_BYTES:
                    yield bytes(piece)
                    piece.clear()
    if piece:
        yield bytes(piece)


def _rows_of(attempt: Attempt, tell: Tell) -> Iterator[bytes]:
    whose = {"job": attempt.job_id, "attempt": attempt.number}
    if attempt.log_dropped_at is not None:
        facts = attempt.log_facts()
        yield orjson.dumps({**whose, **{key: facts[key] for key in ("dropped_at", "lines", "bytes")}}) + b"\n"
        return
    for line in read_lines(attempt.pk):
        yield orjson.dumps({**whose, **line.as_json()}) + b"\n"
        tell(len(line.data))
