"""The lines of a trace's picture: its spans as a tree, and many siblings alike folded into one line. Pure.

Three spans are shown one by one; of three thousand a person sees nothing that way. Siblings that do the same and ended alike
are one line to be opened, so that what is unlike them stands out; where very many are left, calm neighbours are one line, too.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass, field, replace
from itertools import groupby
from uuid import UUID

from tracing.identity import span_hex
from tracing.models import Status
from tracing.questions.waterfall import Step

FOLD_FROM = 15  # siblings alike
NESTED_MOST = 10  # folds in one another
NEIGHBOURS = 50  # that are one line where there are more than twice as many
_NUMBER = re.compile(r"\d+")


@dataclass(eq=False)
class Node:
    """A span, what is below it, and why it is conspicuous (empty: it is not)."""

    step: Step
    odd: str = ""
    children: list[Node] = field(default_factory=list)


@dataclass(frozen=True)
class Line:
    """A span's line. `level` from 1."""

    node: Node
    level: int
    opens: bool  # it has lines below it


@dataclass(frozen=True)
class Fold:
    """Siblings as one line; `lines` are theirs, with all below them. `open`: they are drawn, too."""

    members: tuple[Node, ...]
    level: int
    lines: tuple[Line | Fold, ...]
    open: bool = False

    @property
    def key(self) -> str:
        """Its first member's, which never changes."""
        return span_hex(self.members[0].step.row.span_id)

    @property
    def name(self) -> str:
        first, last = self.members[0].step.row.operation, self.members[-1].step.row.operation
        if len({node.step.row.operation for node in self.members}) == 1:
            return first
        return _NUMBER.sub("…", first) if _alike(first) == _alike(last) else f"{first} … {last}"


def tree(steps: Sequence[Step], odd: dict[int, str] | None = None) -> list[Node]:
    """From the order and depth of steps. `odd`: by the number of the span's id, why it is conspicuous."""
    tops: list[Node] = []
    above: list[Node] = []
    for step in steps:
        node = Node(step, (odd or {}).get(step.row.span_id.int, ""))
        del above[step.depth :]
        (above[-1].children if above else tops).append(node)
        above.append(node)
    return tops


def lines(nodes: Sequence[Node], fold_from: int = FOLD_FROM, nested: int = 0) -> list[Line | Fold]:
    """Top to bottom. Without recursion over depth: a chain may be thousands deep. `nested`: in so many folds already."""
    found: list[Line | Fold] = []
    waiting: list[tuple[tuple[Node, ...], int]] = [(group, 1) for group in reversed(_groups(nodes, fold_from))]
    while waiting:
        group, level = waiting.pop()
        if len(group) > 1:
            found.append(Fold(group, level, tuple(_unfolded(group, level + 1, fold_from, nested + 1))))
            continue
        (node,) = group
        found.append(Line(node, level, bool(node.children)))
        waiting += [(each, level + 1) for each in reversed(_groups(node.children, fold_from))]
    return found


def _unfolded(group: tuple[Node, ...], level: int, fold_from: int, nested: int) -> Iterator[Line | Fold]:
    """Folds in folds in folds end somewhere: what is further below is shown line by line."""
    for node in group:
        yield Line(node, level, bool(node.children))
        for line in lines(node.children, fold_from if nested < NESTED_MOST else sys.maxsize, nested):
            yield _lower(line, level)


def _lower(line: Line | Fold, by: int) -> Line | Fold:
    if isinstance(line, Line):
        return Line(line.node, line.level + by, line.opens)
    return replace(line, level=line.level + by, lines=tuple(_lower(each, by) for each in line.lines))


def below(nodes: Sequence[Node], wanted: Callable[[Node], bool]) -> int:
    """How many of them, and of all below them, are as wanted."""
    waiting, found = list(nodes), 0
    while waiting:
        node = waiting.pop()
        found += wanted(node)
        waiting += node.children
    return found


def opened(drawn: Sequence[Line | Fold], key: str) -> Fold | None:
    """The fold of that key, wherever it is."""
    waiting = [line for line in drawn if isinstance(line, Fold)]
    while waiting:
        fold = waiting.pop()
        if fold.key == key:
            return fold
        waiting += [line for line in fold.lines if isinstance(line, Fold)]
    return None


def with_open(drawn: Sequence[Line | Fold], wanted: Set[UUID]) -> list[Line | Fold]:
    """The same, each fold open that holds one of these spans."""
    return [_with_open(line, wanted) if isinstance(line, Fold) else line for line in drawn] if wanted else [*drawn]


def _with_open(fold: Fold, wanted: Set[UUID]) -> Fold:
    held = below(fold.members, lambda node: node.step.row.span_id in wanted)
    return replace(fold, lines=tuple(with_open(fold.lines, wanted)), open=True) if held else fold


def _groups(siblings: Sequence[Node], fold_from: int) -> list[tuple[Node, ...]]:
    """Each sibling by itself, or with all those like it, where there are many; by the first of each."""
    if len(siblings) < fold_from:
        return [(node,) for node in siblings]
    alike: dict[tuple[str, str, str, bool], list[Node]] = {}
    for node in siblings:
        alike.setdefault(_kind(node), []).append(node)
    found: list[tuple[Node, ...]] = []
    for node in siblings:
        same = alike[_kind(node)]
        if len(same) < fold_from:
            found.append((node,))
        elif same[0] is node:
            found.append(tuple(same))
    return list(_neighbours(found)) if len(found) > 2 * NEIGHBOURS else found


def _neighbours(groups: list[tuple[Node, ...]]) -> Iterator[tuple[Node, ...]]:
    """So many calm ones that follow one another as one group."""
    for calm, run in groupby(groups, lambda group: len(group) == 1 and _calm(group[0])):
        several = list(run)
        if not calm:
            yield from several
            continue
        for start in range(0, len(several), NEIGHBOURS):
            yield tuple(node for group in several[start : start + NEIGHBOURS] for node in group)


def _calm(node: Node) -> bool:
    return node.step.row.status == Status.COMPLETED and not node.odd


def _kind(node: Node) -> tuple[str, str, str, bool]:
    row = node.step.row
    return row.service, _alike(row.operation), row.status, bool(node.odd)


def _alike(operation: str) -> str:
    """`step 7` and `step 8` are the same work."""
    return _NUMBER.sub("#", operation)
