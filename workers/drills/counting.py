"""Jobs that count: a numbered line every tenth of a second, so that a gap, a repetition or a second start shows. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from .promise import COUNT_SECONDS


def counting(lines: int, before: str = "") -> str:
    """A script of portable `sh`; `before` is run first."""
    first = f"{before}\n" if before else ""
    return f"{first}i=0\nwhile [ $i -lt {lines} ]; do i=$((i+1)); echo $i; sleep {COUNT_SECONDS:g}; done\n"


def miscount(texts: Sequence[str], lines: int) -> str:
    """What keeps the output from being the numbers from 1 to `lines`, each once; "" for nothing."""
    for due, text in enumerate(texts, 1):
        if text != str(due):
            return f"line {due} is {text[:60]!r}"
        if due > lines:
            return f"{len(texts)} lines instead of {lines}"
    return "" if len(texts) == lines else f"ends with line {len(texts)} of {lines}"
