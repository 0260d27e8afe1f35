"""Moving sealed logs out of the database into the storage. May run anywhere, any number of times, and be killed anywhere.

The steps: write the file, name it on the attempt (from then on readers find it there), take the chunks away from behind,
say that it is done. Whoever finds one of them undone goes on there; the file's name and content are always the same.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Iterator
from datetime import timedelta

from django.db.models import Q, QuerySet

from jobs.clock import Now
from jobs.failpoints import reach
from jobs.models import Attempt, LogChunk

from . import vault
from .sealed import BLOCK_BYTES, BLOCK_LINES, Writer
from .squeezing import expand, squeeze

log = logging.getLogger(__name__)
CHUNKS_AT_ONCE = 32
Block = tuple[int, bytes, bytes]  # first line, data, index


def to_pack(after_seconds: float = 0.0) -> QuerySet[Attempt]:
    """Sealed for so long, and not yet done. The longest first."""
    sealed = Attempt.objects.filter(
        log_packed_at=None, log_dropped_at=None, log_sealed_at__lte=Now() - timedelta(seconds=after_seconds)
    )
    return sealed.order_by("log_sealed_at")


def pack_for(seconds: float, after_seconds: float) -> int:
    """Pack what there is to pack, until the time is over; a log begun is packed to its end. How many were."""
    until, done = time.monotonic() + seconds, 0
    skip: list[int] = []
    while time.monotonic() < until:
        attempt = to_pack(after_seconds).exclude(pk__in=skip).first()
        if attempt is None:
            break
        try:
            pack(attempt)
            done += 1
        except (vault.Unreadable, OSError) as error:
            log.warning("%s stays in the database, the log storage does not take it: %s", attempt, error)
            break
        except NotAsSealed as error:
            log.error("%s stays in the database: %s", attempt, error)  # noqa: TRY400 - ours, told in full
            skip.append(attempt.pk)
    return done


class NotAsSealed(Exception):
    """What is stored is not what was sealed."""


def pack(attempt: Attempt) -> None:
    """Into the storage with it. Raises `NotAsSealed`, or what the storage raises; then nothing has changed."""
    if not attempt.log_object and attempt.log_lines:
        _write(attempt)
        reach("log_written")
        if not _name(attempt):
            return
    reach("log_named")
    chunks = LogChunk.objects.filter(attempt_id=attempt.pk)
    while last := list(chunks.order_by("-first_line").values_list("pk", flat=True)[:CHUNKS_AT_ONCE]):
        chunks.filter(pk__in=last).delete()
    Attempt.objects.filter(pk=attempt.pk, log_packed_at=None).update(log_packed_at=Now())


def _write(attempt: Attempt) -> None:
    name, digest = vault.name_of(attempt), hashlib.sha256()
    with vault.keeping(name) as file:
        writer = Writer(file)
        for first_line, data, index in _blocks(attempt):
            digest.update(data)
            writer.add(first_line, data, index)
        size = writer.finish()
        if digest.hexdigest() != attempt.log_sha256:
            raise NotAsSealed(f"its SHA-256 is {digest.hexdigest()}, {attempt.log_sha256} was sealed")
    attempt.log_object, attempt.log_object_bytes = name, size


def _name(attempt: Attempt) -> bool:
    """False: somebody else did, or the log was dropped meanwhile."""
    ours = Attempt.objects.filter(pk=attempt.pk, log_packed_at=None, log_dropped_at=None)
    if ours.filter(Q(log_object="") | Q(log_object=attempt.log_object)).update(
        log_object=attempt.log_object, log_object_bytes=attempt.log_object_bytes
    ):
        return True
    if Attempt.objects.filter(pk=attempt.pk, log_dropped_at__isnull=False).exists():
        vault.remove(attempt.log_object)
    return False


def _blocks(attempt: Attempt) -> Iterator[Block]:
    """The chunks, made into blocks of a size that compresses well. A block has no hole."""
    data, index, first_line, lines = bytearray(), bytearray(), 1, 0
    chunks = LogChunk.objects.filter(attempt_id=attempt.pk).order_by("first_line")
    for chunk in chunks.iterator(4):
        full = len(data) + chunk.bytes > BLOCK_BYTES or lines + chunk.lines > BLOCK_LINES
        if lines and (full or chunk.first_line != first_line + lines):
            yield first_line, bytes(data), bytes(index)
            data, index, lines = bytearray(), bytearray(), 0
        if not lines:
            first_line = chunk.first_line
        data += expand(chunk.data)
        index += expand(chunk.index)
        lines += chunk.lines
    if lines:
        yield first_line, bytes(data), bytes(index)


def unpack(attempt: Attempt) -> None:
    """Back into the database: for the version of Towline before, which knows no storage."""
    sealed = vault.opened(attempt)
    LogChunk.objects.filter(attempt_id=attempt.pk).delete()
    for row in sealed.rows:
        data, index = sealed.read(row)
        LogChunk.objects.create(
            attempt_id=attempt.pk, first_line=row.first_line, lines=row.lines, first_offset=row.first_offset,
            bytes=row.bytes, data=squeeze(data), index=squeeze(index),
        )  # fmt: skip
    Attempt.objects.filter(pk=attempt.pk).update(log_object="", log_object_bytes=0, log_packed_at=None)
    vault.remove(attempt.log_object)
