"""Ids of traces and spans, as OpenTelemetry has them and as the table keeps them. Pure.

A trace id has 128 bits and is a UUID in the table; a span id has 64 and is a UUID whose upper half is zero, so that both are
given back as they came. Spans that several processes work on (a job, its waiting, an attempt, its container) have ids
that follow from what they tell of: whoever opens, closes or adds to one needs nobody's word for it.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from uuid import UUID

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")


@dataclass(frozen=True)
class Parent:
    """A place in a trace that others go on from: W3C's `traceparent`."""

    trace_id: int
    span_id: int
    sampled: bool = True

    def __str__(self) -> str:
        return f"00-{trace_hex(self.trace_id)}-{span_hex(self.span_id)}-{int(self.sampled):02x}"

    @classmethod
    def parse(cls, text: str) -> Parent | None:
        """None of what is no `traceparent`."""
        if not (match := _TRACEPARENT.fullmatch(text)):
            return None
        trace_id, span_id, flags = (int(part, 16) for part in match.groups())
        return cls(trace_id, span_id, bool(flags & 1)) if trace_id and span_id else None

    def at(self, span_id: int) -> Parent:
        """Another place in the same trace."""
        return Parent(self.trace_id, span_id, self.sampled)


def span_id_of(*what: object) -> int:
    """The id of the span that tells of this, e.g. of a job and the number of its attempt."""
    digest = hashlib.blake2b("/".join(map(str, what)).encode(), digest_size=8).digest()
    return int.from_bytes(digest) or 1


def trace_hex(trace_id: int | UUID) -> str:
    """32 digits."""
    return f"{int(trace_id):032x}"


def span_hex(span_id: int | UUID) -> str:
    """16 digits."""
    return f"{int(span_id):016x}"


def as_uuid(number: int) -> UUID:
    """Of either, for the table."""
    return UUID(int=number)
