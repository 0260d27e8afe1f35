"""Writing a log: chunks, gaps, the runtime's cursor and the counts in one transaction, fenced. And sealing it at the end."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace

from django.conf import settings
from django.db import connection, transaction

from jobs.clock import Now
from jobs.failpoints import reach
from jobs.hints import announce
from jobs.models import Attempt, LogChunk

from . import capping
from .block import Block
from .delivery import NONE, Delays, delayed, delays_of
from .gaps import Gap, Gaps, added, cut_of
from .squeezing import expand, squeeze

CHUNK_BYTES = 1024 * 1024
POSITION = ("log_lines", "log_bytes", "log_cursor", "log_gaps", "log_delays")
_lock = threading.Lock()
CHUNKS_OF_MOST = 16  # what is cut goes by whole chunks: of all that is kept a chunk is to be so small a share


class Fenced(Exception):
    """Another worker has the attempt by now: stop, touch nothing, leave the container alone."""


@dataclass(frozen=True)
class Position:
    """Where the log ends, the runtime's cursor there ("" before the first line), and what is missing before it.

    `lines` and `bytes` count all that was ever stored, what was cut out of the middle too; `delays` are of those lines.
    """

    lines: int = 0
    bytes: int = 0
    cursor: str = ""
    gaps: Gaps = ()
    delays: Delays = NONE


def position(attempt: Attempt) -> Position:
    gaps = tuple(Gap.of(one) for one in attempt.log_gaps)
    delays = delays_of(attempt.log_delays)
    return Position(attempt.log_lines, attempt.log_bytes, attempt.log_cursor, gaps, delays)


def append(
    attempt: Attempt,
    fence: int,
    at: Position,
    lines: Block | Iterable[tuple[bytes, str, int]],
    cursor: str,
    gaps: Sequence[Gap] = (),
) -> Position:
    """Store lines, if any, behind `at` and answer where the log ends now. `gaps` are right before the first of them.

    Raises Fenced when `fence` or `at` is not the current one. Lines are (bytes, stream, nanoseconds), or packed already.
    """
    block = lines if isinstance(lines, Block) else Block.of(lines)
    missing = at.gaps
    for gap in gaps:
        missing = added(missing, gap)
    end = Position(at.lines + block.lines, at.bytes + len(block.data), cursor, missing, at.delays)
    chunks = _chunks(attempt.pk, at, block)  # compressed before the transaction: SQLite has one writer
    with _turn(), transaction.atomic():
        # In here, as waiting for the database is part of it.
        end = replace(end, delays=delayed(at.delays, block, time.time_ns())) if block.lines else end
        ours = Attempt.objects.filter(pk=attempt.pk, fence=fence, log_lines=at.lines, log_sealed_at=None)
        facts = {"log_cursor": cursor, "log_lines": end.lines, "log_bytes": end.bytes, "log_delays": end.delays}
        if not ours.update(**facts, **_changed(at.gaps, missing)):
            raise Fenced
        LogChunk.objects.bulk_create(chunks)
        end = _capped(attempt.pk, end)
        transaction.on_commit(lambda: announce(attempt.job_id))
        reach("chunk_before_commit")
    reach("chunk_after_commit")
    return end


def _turn() -> AbstractContextManager[object]:
    """SQLite lets one write, and the others sleep and ask again: those of one process rather queue, and are woken."""
    return _lock if connection.vendor == "sqlite" else nullcontext()


def _chunks(attempt_id: int, at: Position, block: Block) -> list[LogChunk]:
    most = min(CHUNK_BYTES, settings.TOWLINE.TOWLINE_LOG_BYTES_MOST // CHUNKS_OF_MOST)
    line, offset, chunks = at.lines + 1, at.bytes, []
    for piece in block.pieces(most):
        chunk = LogChunk(attempt_id=attempt_id, first_line=line, lines=piece.lines, first_offset=offset)
        chunk.bytes, chunk.data, chunk.index = len(piece.data), squeeze(piece.data), squeeze(piece.index)
        chunks.append(chunk)
        line, offset = line + piece.lines, offset + len(piece.data)
    return chunks


def _capped(attempt_id: int, end: Position) -> Position:
    gaps = capping.cut(attempt_id, end.gaps, end.lines, end.bytes, settings.TOWLINE.TOWLINE_LOG_BYTES_MOST)
    if changed := _changed(end.gaps, gaps):
        Attempt.objects.filter(pk=attempt_id).update(**changed)
    return replace(end, gaps=gaps)


def _changed(before: Gaps, now: Gaps) -> dict[str, object]:
    return {} if now == before else {"log_gaps": [gap.as_json() for gap in now]}


@dataclass
class Tally:
    """The digest of what was stored, kept while it is stored. Only of use for a log that was stored from its first line."""

    lines: int = 0
    _digest: hashlib._Hash = field(default_factory=hashlib.sha256)

    def add(self, block: Block) -> None:
        self.lines += block.lines
        self._digest.update(block.data)

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()


def sealing(attempt: Attempt, tally: Tally | None = None) -> tuple[int, dict[str, object]]:
    """The last line's number, and what to write on the attempt if it is still that when it is finished.

    With a `tally` of all lines nothing is read, unless the middle was cut out. A log with gaps is not complete.
    """
    end = position(Attempt.objects.only(*POSITION).get(pk=attempt.pk))
    whole = tally is not None and tally.lines == end.lines and cut_of(end.gaps) is None
    sha256 = tally.sha256 if tally is not None and whole else _read_digest(attempt.pk)
    incomplete = {"log_complete": False} if end.gaps else {}
    return end.lines, {"log_sha256": sha256, "log_sealed_at": Now(), **incomplete}


def _read_digest(attempt_id: int) -> str:
    digest = hashlib.sha256()
    chunks = LogChunk.objects.filter(attempt_id=attempt_id).order_by("first_line")
    for data in chunks.values_list("data", flat=True).iterator(16):
        digest.update(expand(data))
    return digest.hexdigest()
