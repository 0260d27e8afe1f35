"""The picture of a trace as HTML: a line each, its bar in SVG. Pure.

Written by hand and not by a template, which takes ten times as long for three thousand lines. All text goes through `escape`;
there is no `style` anywhere, the policy forbids it: places are the SVG's own attributes, in percent of the axis.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape

from django.utils.safestring import SafeString, mark_safe

from tracing.identity import span_hex
from tracing.models import Status
from tracing.rows import Row

from .axis import Axis, took
from .tree import Fold, Line, Node, below

NARROWEST = 0.05  # percent; a bar of no width is not drawn at all
COLUMNS = 400  # of a fold's bar
DEEPEST = 12  # what lies deeper is not indented further
SIGNS = {Status.FAILED: "✕", Status.TIMEOUT: "◷", Status.LOST: "?", Status.STARTED: "…"}
WORDS = {Status.STARTED: "open"}


@dataclass(frozen=True)
class Picture:
    """What lines are drawn against. `colours`: by service. `keep`: the part of the page's query that its links keep."""

    axis: Axis
    now: datetime
    colours: dict[str, str]
    keep: str = ""

    def draw(self, lines: Sequence[Line | Fold]) -> SafeString:
        return mark_safe("".join(self._all(lines)))  # noqa: S308  # nosec B308 B703 - escaped piece by piece

    def _all(self, lines: Iterable[Line | Fold]) -> Iterator[str]:
        for line in lines:
            if isinstance(line, Line):
                yield self._line(line)
                continue
            yield self._fold(line)
            if line.open:
                yield from self._all(line.lines)

    def _line(self, line: Line) -> str:
        row, name = line.node.step.row, escape(line.node.step.row.operation)
        key = span_hex(row.span_id)
        return _row(
            f"s-{key}",
            self._classes(line.node),
            line.level,
            ' aria-expanded="true"' if line.opens else "",
            f'<a href="?{escape(self.keep)}span={key}#details" tabindex="-1">{name}</a>'
            f' <span class="service">{escape(row.service)}</span>{_odd(line.node)}',
            self._bar(line.node),
            f"{took(row.seconds(self.now))}{_status(row)}",
        )

    def _fold(self, fold: Fold) -> str:
        first = fold.members[0].step.row
        middle = statistics.median(node.step.row.seconds(self.now) for node in fold.members)
        return _row(
            f"f-{fold.key}",
            f"fold {self._classes(*fold.members)}",
            fold.level,
            ' aria-expanded="true" data-unfolded' if fold.open else ' aria-expanded="false"',
            f'<span class="operation">{escape(fold.name)}</span> <b class="times">× {len(fold.members):,}</b>'
            f' <span class="service">{escape(first.service)}</span>{_odd(fold.members[0])}',
            self._bars(fold.members),
            f"median {took(middle)}{_status(first) or _failed_below(fold)}",
        )

    def _bar(self, node: Node) -> str:
        row = node.step.row
        x, width = self._stretch(row)
        word = WORDS.get(Status(row.status), row.status) if row.status in Status.values else row.status
        said = f"{row.service} {row.operation}: {took(row.seconds(self.now))}, {word}"
        begins = took(max(0.0, (row.started_at - self.axis.begin).total_seconds()))
        return (
            f"<title>{escape(said)}, from +{begins}{escape(_why(row))}</title>"
            f"{_rect('bar', x, width)}{_over(row, x, width)}{_rect('path', x, width) if node.step.critical else ''}"
            + (f'<text class="flag" x="{x:.3f}%" y="12">▲</text>' if node.odd else "")
        )

    def _bars(self, nodes: Sequence[Node]) -> str:
        """Where any of them was at work, to a column."""
        busy = bytearray(COLUMNS)
        for node in nodes:
            x, width = self._stretch(node.step.row)
            first = min(COLUMNS - 1, int(x / 100 * COLUMNS))
            last = max(first + 1, min(COLUMNS, round((x + width) / 100 * COLUMNS)))
            busy[first:last] = b"\1" * (last - first)
        runs = [(begin * 100 / COLUMNS, (end - begin) * 100 / COLUMNS) for begin, end in _runs(busy)]
        critical = any(node.step.critical for node in nodes)
        return "".join(
            _rect("bar", x, width) + _over(nodes[0].step.row, x, width) + (_rect("path", x, width) if critical else "")
            for x, width in runs
        )

    def _classes(self, *nodes: Node) -> str:
        row = nodes[0].step.row
        critical = " critical" if any(node.step.critical for node in nodes) else ""
        return f"service-{self.colours.get(row.service, 'other0')} status-{escape(row.status)}{critical}"

    def _stretch(self, row: Row) -> tuple[float, float]:
        x = min(self.axis.place(row.started_at), 100 - NARROWEST)
        return x, max(NARROWEST, self.axis.place(row.end(self.now)) - x)


def _row(key: str, classes: str, level: int, opens: str, name: str, bars: str, took: str) -> str:
    return (
        f'<div role="row" id="{key}" class="{classes} d{min(level, DEEPEST)}" aria-level="{level}"{opens} tabindex="-1">'
        f'<div role="gridcell" class="name">{"<i></i>" if opens else ""}{name}</div>'
        f'<div role="gridcell" class="strip"><svg aria-hidden="true">{bars}</svg></div>'
        f'<div role="gridcell" class="took">{took}</div></div>'
    )


def _rect(kind: str, x: float, width: float) -> str:
    y, height = ("16", "3") if kind == "path" else ("3", "12")
    return f'<rect class="{kind}" x="{x:.3f}%" y="{y}" width="{width:.3f}%" height="{height}"/>'


def _over(row: Row, x: float, width: float) -> str:
    """A pattern over the bar of what did not just end well: colours alone tell nothing to many."""
    if row.status == Status.COMPLETED or row.status not in Status.values:
        return ""
    return f'<rect class="over" x="{x:.3f}%" y="3" width="{width:.3f}%" height="12" fill="url(#p-{row.status})"/>'


def _status(row: Row) -> str:
    sign = SIGNS.get(Status(row.status)) if row.status in Status.values else None
    return f' <b class="sign">{sign} {WORDS.get(Status(row.status), row.status)}</b>' if sign else ""


def _failed_below(fold: Fold) -> str:
    failed = below(fold.members, lambda node: node.step.row.status in (Status.FAILED, Status.TIMEOUT, Status.LOST))
    return f' <b class="sign failed" title="below it">{SIGNS[Status.FAILED]} {failed:,}</b>' if failed else ""


def _why(row: Row) -> str:
    return f": {row.error_type}" if row.error_type else ""


def _odd(node: Node) -> str:
    return f' <b class="odd" title="{escape(node.odd)}">▲</b>' if node.odd else ""


def _runs(busy: bytearray) -> Iterator[tuple[int, int]]:
    """(first, behind the last) of each stretch of ones."""
    begin = busy.find(1)
    while begin >= 0:
        end = busy.find(0, begin)
        end = len(busy) if end < 0 else end
        yield begin, end
        begin = busy.find(1, end)
