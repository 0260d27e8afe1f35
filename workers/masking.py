"""Secrets masked in a run's output, line by line, before anything of it is stored. Pure.

A line is held back while its end may be the beginning of a secret, and what stands behind it with it: lines keep their order,
streams and stamps. What was given out ends where no secret is under way, so that whoever reads on from its last cursor, after
a crash, masks the rest just the same.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from jobs.logs.records import STREAMS
from jobs.secrets.mask import MARK, Mask, Stretch, marked
from jobs.verdicts import Verdict

from .drivers.output import Line

HELD_BYTES_MOST = (
    8 * 1024 * 1024
)  # one stream may be silent in the middle of what could be a secret, the other in a flood


def hide_verdict(mask: Mask, verdict: Verdict) -> Verdict:
    """It may quote what the engine, or the program, said."""
    evidence = tuple(map(mask.hide_text, verdict.evidence))
    return replace(
        verdict, summary=mask.hide_text(verdict.summary), evidence=evidence, remedy=mask.hide_text(verdict.remedy)
    )


class Masking:
    """Of one reading of a log. Lines go in by `take`, and come out of it, or of `flush` at the end."""

    def __init__(self, mask: Mask) -> None:
        self._mask = mask
        self._held: list[Line] = []

    def take(self, lines: list[Line]) -> list[Line]:
        """What may be stored now, all of it or nothing: only the last cursor is a place to read on from."""
        if not self._mask:
            return lines
        lines = self._held + lines
        too_many = sum(len(line.data) for line in lines) > HELD_BYTES_MOST if self._held else False
        return self._give(lines, [_Stream.of(self._mask, lines, name) for name in STREAMS], too_many)

    def flush(self) -> list[Line]:
        """What was held back: nothing comes behind it."""
        streams = [_Stream.of(self._mask, self._held, name, over=True) for name in STREAMS]
        return self._give(self._held, streams)

    def _give(self, lines: list[Line], streams: list[_Stream], too_many: bool = False) -> list[Line]:  # noqa: FBT001, FBT002
        if too_many:
            streams = [stream.hidden() for stream in streams]
        if all(stream.is_clear for stream in streams):
            self._held = []
            return lines
        named = {stream.name: stream for stream in streams}
        count = _settled(lines, named)
        self._held = lines[count:]
        return _rewritten(lines[:count], named)


@dataclass(frozen=True)
class _Stream:
    """One stream's bytes in some lines: what in it is secret, and up to where that is decided."""

    name: str
    data: bytes
    stretches: Sequence[Stretch]
    decided: int

    @classmethod
    def of(cls, mask: Mask, lines: list[Line], name: str, *, over: bool = False) -> _Stream:
        data = b"".join([line.data for line in lines if line.stream == name])
        return cls(name, data, *mask.settled(data, over=over))

    def hidden(self) -> _Stream:
        """What is not decided, taken for secret."""
        rest = [Stretch(self.decided, len(self.data))] if self.decided < len(self.data) else []
        return replace(self, stretches=[*self.stretches, *rest], decided=len(self.data))

    @property
    def is_clear(self) -> bool:
        return not self.stretches and self.decided == len(self.data)

    def is_amid(self, place: int) -> bool:
        """Whether a stretch goes on from before `place` to behind it."""
        before = bisect_left(self.stretches, (place, 0)) - 1
        return before >= 0 and place < self.stretches[before].end

    def piece(self, start: int, end: int) -> bytes:
        """These bytes, masked. MARK stands where the secret's part of a line begins, be that in an earlier piece."""
        parts, at = [], start
        first = max(0, bisect_left(self.stretches, (start, 0)) - 1)
        for stretch in self.stretches[first:]:
            if stretch.start >= end:
                break
            if stretch.end > start:
                parts += [self.data[at : max(at, stretch.start)], self._marked(stretch, start, end)]
                at = min(end, stretch.end)
        return b"".join((*parts, self.data[at:end])) if parts else self.data[start:end]

    def _marked(self, stretch: Stretch, start: int, end: int) -> bytes:
        text = marked(self.data[max(start, stretch.start) : min(end, stretch.end)])
        goes_on = stretch.start < start and not self.data.endswith(b"\n", 0, start)
        return text.removeprefix(MARK) if goes_on else text


def _settled(lines: list[Line], streams: dict[str, _Stream]) -> int:
    """How many of the first lines may go: all their bytes are decided, and no secret is under way behind the last."""
    at, amid, count = dict.fromkeys(streams, 0), dict.fromkeys(streams, False), 0
    for number, line in enumerate(lines, 1):
        stream = streams[line.stream]
        at[line.stream] += len(line.data)
        if at[line.stream] > stream.decided:
            break
        amid[line.stream] = stream.is_amid(at[line.stream])
        if not any(amid.values()):
            count = number
    return count


def _rewritten(lines: list[Line], streams: dict[str, _Stream]) -> list[Line]:
    """Masked. A piece of which nothing is left goes, and the last one says how far was read."""
    given = list(_masked(lines, streams))
    return [*given[:-1], replace(given[-1], cursor=lines[-1].cursor)] if given else []


def _masked(lines: list[Line], streams: dict[str, _Stream]) -> Iterator[Line]:
    at = dict.fromkeys(streams, 0)
    for line in lines:
        start = at[line.stream]
        at[line.stream] = end = start + len(line.data)
        if data := streams[line.stream].piece(start, end):
            yield line if data == line.data else replace(line, data=data)
