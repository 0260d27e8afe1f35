"""A compressed tar: of each job a `job.json`, and each attempt's log byte for byte.

<job>/job.json            the job as REST shows it, with its attempts and events
<job>/attempt-<n>.log     its output, as long as its log facts say; not there if retention removed it
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from tarfile import BLOCKSIZE, NUL, PAX_FORMAT, RECORDSIZE, TarInfo

import orjson
from django.db.models import QuerySet

from jobs.api.serializers import job_with_history
from jobs.logs.reader import read_bytes
from jobs.logs.squeezing import squeeze_on
from jobs.models import Attempt, Job

from .chosen import ExportBroken, Tell, attempts_of, each

LEVEL = 3


def archive(jobs: QuerySet[Job], tell: Tell = lambda count: None) -> Iterator[bytes]:
    """The archive in pieces. Raises ExportBroken when a log is shorter than its facts say: then it ends in the middle."""
    return squeeze_on(_tar(jobs, tell), LEVEL)


def _tar(jobs: QuerySet[Job], tell: Tell) -> Iterator[bytes]:
    size = 0
    for piece in _members(jobs, tell):
        size += len(piece)
        yield piece
    end = size + 2 * BLOCKSIZE  # two empty blocks, and on to a whole record
    yield NUL * (2 * BLOCKSIZE + -end % RECORDSIZE)


def _members(jobs: QuerySet[Job], tell: Tell) -> Iterator[bytes]:
    for job in each(jobs):
        about = orjson.dumps(job_with_history(job), default=str, option=orjson.OPT_INDENT_2)
        yield from _member(f"{job.pk}/job.json", len(about), job.finished_at or job.created_at, iter([about]))
        for attempt in attempts_of(job):
            if attempt.log_dropped_at is None:
                name, size = f"{job.pk}/attempt-{attempt.number}.log", int(attempt.log_facts()["bytes"])
                at = attempt.finished_at or attempt.created_at
                yield from _member(name, size, at, _log(attempt, size, tell))


def _member(name: str, size: int, at: datetime, pieces: Iterator[bytes]) -> Iterator[bytes]:
    info = TarInfo(name)
    info.size, info.mtime, info.mode = size, int(at.timestamp()), 0o644
    yield info.tobuf(PAX_FORMAT)
    yield from pieces
    yield NUL * (-size % BLOCKSIZE)


def _log(attempt: Attempt, size: int, tell: Tell) -> Iterator[bytes]:
    """Exactly so many bytes: what a running attempt wrote since its facts were read is left out."""
    left = size
    for piece in read_bytes(attempt.pk):
        if not left:
            break
        yield piece[:left]
        tell(len(piece[:left]))
        left -= len(piece[:left])
    if left:
        raise ExportBroken(
            f"the log of {attempt} lacks {left} of its {size} bytes: was it dropped just now? Try again."
        )
