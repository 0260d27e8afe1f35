"""Writing a log: a chunk, the runtime's cursor and the counts in one transaction, fenced. And sealing it at the end."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from django.db import transaction
from django.db.models import F

from jobs.clock import Now
from jobs.failpoints import reach
from jobs.hints import announce
from jobs.models import Attempt, LogChunk

from .records import pack
from .squeezing import expand, squeeze


class Fenced(Exception):
    """Another worker has the attempt by now: stop, touch nothing, leave the container alone."""


@dataclass(frozen=True)
class Position:
    """Where the stored log ends, and the runtime's cursor there ("" before the first line)."""

    lines: int = 0
    bytes: int = 0
    cursor: str = ""


def position(attempt: Attempt) -> Position:
    return Position(attempt.log_lines, attempt.log_bytes, attempt.log_cursor)


def append(
    attempt: Attempt, fence: int, at: Position, lines: Sequence[tuple[bytes, str, int]], cursor: str
) -> Position:
    """Store lines behind `at` and answer where the log ends now. Raises Fenced when `fence` or `at` is not the current one."""
    data, index, count = pack(lines)
    with transaction.atomic():
        ours = Attempt.objects.filter(pk=attempt.pk, fence=fence, log_lines=at.lines, log_sealed_at=None)
        if not ours.update(log_cursor=cursor, log_lines=F("log_lines") + count, log_bytes=F("log_bytes") + len(data)):
            raise Fenced
        LogChunk.objects.bulk_create(
            [
                LogChunk(
                    attempt_id=attempt.pk,
                    first_line=at.lines + 1,
                    lines=count,
                    first_offset=at.bytes,
                    bytes=len(data),
                    data=squeeze(data),
                    index=squeeze(index),
                )
            ]
        )
        transaction.on_commit(lambda: announce(attempt.job_id))
        reach("chunk_before_commit")
    reach("chunk_after_commit")
    return Position(at.lines + count, at.bytes + len(data), cursor)


def sealing(attempt: Attempt) -> tuple[int, dict[str, object]]:
    """How many lines are stored, and what to write on the attempt if there are still as many when it is finished."""
    digest, total = hashlib.sha256(), 0
    chunks = LogChunk.objects.filter(attempt_id=attempt.pk).order_by("first_line")
    for lines, data in chunks.values_list("lines", "data").iterator(16):
        digest.update(expand(data))
        total += lines
    return total, {"log_sha256": digest.hexdigest(), "log_sealed_at": Now()}
