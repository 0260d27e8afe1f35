"""How alike executions are: what they did, in which order, and how they failed. Pure.

score = (1 - edit distance / longer length of the sequences of operations) * (1 + alikeness of the failures) / 2
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .rules import SEQUENCE_MOST


@dataclass(frozen=True)
class SimilarTrace:
    """`total_duration_ms`: from the first start to the last end. `failure_point` None: nothing failed."""

    similar_execution_id: int
    similarity_score: float
    status: str
    total_duration_ms: int | None
    failure_point: str | None


@dataclass(frozen=True)
class Failure:
    """Where it began, and what it was."""

    point: str
    error_type: str | None


@dataclass(frozen=True)
class Shape:
    """An execution: its operations by start, and its failure if it had one."""

    execution_id: int
    operations: tuple[str, ...]
    failure: Failure | None = None


def closest(mine: Shape, others: Iterable[Shape], limit: int) -> list[tuple[float, int]]:
    """(score, execution), the best first, and of equals the latest. Equal sequences are compared once."""
    groups: dict[tuple[str, ...], list[Shape]] = {}
    for other in others:
        groups.setdefault(other.operations[:SEQUENCE_MOST], []).append(other)
    own = mine.operations[:SEQUENCE_MOST]
    bounds = sorted(((_bound(own, theirs), theirs) for theirs in groups), key=lambda pair: pair[0], reverse=True)
    best: list[tuple[float, int]] = []
    for bound, theirs in bounds:
        if len(best) >= limit and bound < best[-1][0]:
            break
        alike = alikeness(own, theirs)
        scored = [
            (alike * (1 + _alike_failures(mine.failure, each.failure)) / 2, each.execution_id)
            for each in groups[theirs]
        ]
        best = heapq.nlargest(limit, best + scored)
    return best


def alikeness(these: Sequence[str], those: Sequence[str]) -> float:
    """1 - edit distance / longer length."""
    longer = max(len(these), len(those))
    return (longer - distance(these, those)) / longer if longer else 1.0


def distance(these: Sequence[str], those: Sequence[str]) -> int:
    """Levenshtein's: how many operations were left out, put in, or replaced by another."""
    these, those = _without_shared_ends(these, those)
    above = list(range(len(those) + 1))
    for row, one in enumerate(these, 1):
        this = [row]
        for column, other in enumerate(those, 1):
            this.append(min(above[column] + 1, this[-1] + 1, above[column - 1] + (one != other)))
        above = this
    return above[-1]


def _without_shared_ends(these: Sequence[str], those: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    head, least = 0, min(len(these), len(those))
    while head < least and these[head] == those[head]:
        head += 1
    tail = 0
    while tail < least - head and these[-1 - tail] == those[-1 - tail]:
        tail += 1
    return these[head : len(these) - tail], those[head : len(those) - tail]


def _bound(these: Sequence[str], those: Sequence[str]) -> float:
    """No more alike than this: as many operations as both have."""
    longer = max(len(these), len(those))
    return (Counter(these) & Counter(those)).total() / longer if longer else 1.0


def _alike_failures(one: Failure | None, other: Failure | None) -> float:
    """1: both succeeded, or failed at the same point with the same error; half for one of the two."""
    if one is None or other is None:
        return float(one is other)
    same_point = one.point == other.point
    same_error = one.error_type == other.error_type and (same_point or one.error_type is not None)
    return (same_point + same_error) / 2
