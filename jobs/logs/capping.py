"""No more of one attempt's output than is kept: its head and its tail stay, the middle is cut out as the tail grows."""

from __future__ import annotations

from jobs.models import LogChunk

from .gaps import Gap, Gaps, cut_of, with_cut

LOOK_CHUNKS = 512  # at once


def cut(attempt_id: int, gaps: Gaps, last_line: int, total_bytes: int, most_bytes: int) -> Gaps:
    """Delete the oldest chunks behind the head until no more than `most_bytes` are stored; the gaps as they are then.

    Belongs into the transaction that made it too much. `last_line` and `total_bytes` count what was cut before, too.
    The chunk in which the head ends stays whole, and so does the last one.
    """
    before = cut_of(gaps)
    gone_lines, gone_bytes = (before.lines, before.bytes or 0) if before else (0, 0)
    excess = total_bytes - gone_bytes - most_bytes
    if excess <= 0:
        return gaps
    first = before.line if before else _behind_head(attempt_id, most_bytes // 2)
    following, freed = _through(attempt_id, first, last_line, excess)
    if following == first:
        return gaps
    LogChunk.objects.filter(attempt_id=attempt_id, first_line__gte=first, first_line__lt=following).delete()
    return with_cut(gaps, Gap(following, "capped", gone_lines + following - first, gone_bytes + freed))


def _through(attempt_id: int, first: int, last_line: int, excess: int) -> tuple[int, int]:
    """The first line that stays when chunks from line `first` on go until `excess` bytes are free, and what that frees."""
    freed, found = 0, -1
    while freed < excess and found != 0:
        chunks = LogChunk.objects.filter(attempt_id=attempt_id, first_line__gte=first).order_by("first_line")
        found = 0
        for line, lines, size in chunks.values_list("first_line", "lines", "bytes")[:LOOK_CHUNKS]:
            if freed >= excess or line + lines > last_line:
                return first, freed
            first, freed, found = line + lines, freed + size, found + 1
    return first, freed


def _behind_head(attempt_id: int, head_bytes: int) -> int:
    """The line behind the chunk in which the first `head_bytes` end. Asked once, before the first cut."""
    chunks = LogChunk.objects.filter(attempt_id=attempt_id, first_offset__lt=head_bytes).order_by("-first_line")
    line, lines = chunks.values_list("first_line", "lines")[0]
    return int(line + lines)
