"""A trace as a tree in the order of time, and in it the critical path: the chain of spans that determined its end. Pure.

The critical path is found as Jaeger finds it: from the end backwards, at each moment within the child that ended last. Two
children that overlap are never both on it. A child that outlasts its parent, as what a message or a request set off does,
is waited for like any other. Who only watches the program of an attempt hands its place to the program, which is what was
waited for. Drawing is elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tracing.rows import Row
from tracing.services import CONTAINER, WORKER

WATCHER, PROGRAM = (WORKER, "follow"), (CONTAINER, "execute")
NOTICED = timedelta(seconds=1)  # so soon a watcher knows of the end; one that went on for longer was waited for itself
# Clocks of two processes, and times rounded to the millisecond, may make what follows one another overlap by as much.
SLACK = timedelta(milliseconds=1)


@dataclass(frozen=True)
class Step:
    """A span where it belongs. `depth` 0: it has no parent here."""

    row: Row
    depth: int
    critical: bool


@dataclass
class _Node:
    row: Row
    end: datetime
    reach: datetime  # when the last of it and all below it ended
    depth: int = 0
    critical: bool = False
    watched: bool = False  # to its end: on the path it stands where its watcher is, and nowhere else
    children: list[_Node] = field(default_factory=list)


def waterfall(rows: Sequence[Row], now: datetime) -> list[Step]:
    """Each span once, children below their parent, by start. What is open goes on until `now`.

    A span whose parent is not among the rows is a root; where spans are each other's parents, the earliest is.
    """
    tops, ordered = _grow([_Node(row, row.end(now), row.end(now)) for row in sorted(rows, key=_by_start)])
    parents = {id(child): node for node in ordered for child in node.children}
    for node in reversed(ordered):
        if parent := parents.get(id(node)):
            parent.reach = max(parent.reach, node.reach)
    _mark(tops, _programs(ordered))
    return [Step(node.row, node.depth, node.critical) for node in ordered]


def _by_start(row: Row) -> tuple[datetime, bool, int]:
    return row.started_at, row.parent_span_id is not None, row.span_id.int


def _grow(nodes: list[_Node]) -> tuple[list[_Node], list[_Node]]:
    """The roots, and all nodes depth-first. Whatever no root leads to is in a ring, which is cut at its earliest."""
    known = {(node.row.trace_id, node.row.span_id) for node in nodes}
    below: dict[object, list[_Node]] = {}
    for node in nodes:
        below.setdefault((node.row.trace_id, node.row.parent_span_id), []).append(node)
    tops: list[_Node] = []
    ordered: list[_Node] = []
    seen: set[int] = set()
    rootless = [node for node in nodes if (node.row.trace_id, node.row.parent_span_id) not in known]
    for top in (*rootless, *nodes):
        if id(top) not in seen:
            tops.append(top)
            ordered += _descend(top, below, seen)
    return tops, ordered


def _descend(top: _Node, below: dict[object, list[_Node]], seen: set[int]) -> list[_Node]:
    """Without recursion: a chain may be thousands deep."""
    found: list[_Node] = []
    seen.add(id(top))
    waiting = [top]
    while waiting:
        node = waiting.pop()
        found.append(node)
        node.children = [
            child for child in below.get((node.row.trace_id, node.row.span_id), ()) if id(child) not in seen
        ]
        seen.update(map(id, node.children))
        for child in node.children:
            child.depth = node.depth + 1
        waiting += reversed(node.children)
    return found


def _programs(ordered: Sequence[_Node]) -> dict[object, _Node]:
    """By execution. What a program itself calls by that name lies below it, and comes later."""
    found: dict[object, _Node] = {}
    for node in ordered:
        if _is(PROGRAM, node):
            found.setdefault(_execution(node), node)
    for node in ordered:
        if _is(WATCHER, node) and (program := found.get(_execution(node))):
            program.watched |= node.end >= program.end
    return found


def _is(what: tuple[str, str], node: _Node) -> bool:
    return (node.row.service, node.row.operation) == what and node.row.execution_id is not None


def _execution(node: _Node) -> object:
    return node.row.trace_id, node.row.execution_id


def _mark(tops: list[_Node], programs: Mapping[object, _Node]) -> None:
    """Walk back in time from the end of all; then, within each span that was found, from where the walk came into it."""
    walks = [(tops, max((node.reach for node in tops), default=None))]
    while walks:
        siblings, until = walks.pop()
        for node, left in _chain(siblings, until) if until else ():
            for waited, at in _waited_for(node, left, programs):
                waited.critical = True
                walks.append((waited.children, at))


def _waited_for(node: _Node, left: datetime, programs: Mapping[object, _Node]) -> Iterator[tuple[_Node, datetime]]:
    """The span itself; of one that watches, the program in its place: once, as several may watch it one after another."""
    program = programs.get(_execution(node)) if _is(WATCHER, node) else None
    if program and not program.critical:
        yield program, min(program.end, left)
    if program is None or left - program.end > NOTICED:
        yield node, left


def _chain(siblings: list[_Node], until: datetime) -> Iterator[tuple[_Node, datetime]]:
    """The last to end, the last that had ended when that one began, and so on; with each, when it ended.

    One that set off what outlasts its siblings had ended by its own end, if not by that of all below it.
    """
    ends = {
        (min(end, until), node.row.started_at, place)
        for place, node in enumerate(siblings)
        for end in (node.end, node.reach)
        if not node.watched and (end <= until or node.row.started_at < until)
    }
    cursor, used = until, set()
    for end, start, place in sorted(ends, reverse=True):
        if place not in used and end <= cursor + SLACK and start <= end:
            used.add(place)
            cursor = min(cursor, start)
            yield siblings[place], end
