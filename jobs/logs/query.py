"""What is searched for in logs: a text or a regular expression (RE2's: its time grows with the log, never worse). Pure."""

from __future__ import annotations

import re
import re._constants as kinds  # type: ignore[import-not-found]
import re._parser as parser  # type: ignore[import-not-found]
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import re2

TEXT_LONGEST = 1000
_MEMORY_BYTES = 64 * 1024**2
# In small letters these two are equal to signs that are no ASCII: of a text that does not mind case they tell nothing.
_ODD = re.compile(rb"[ksKS\x80-\xff]+")


class BadQuery(ValueError):
    """Says what is wrong with it."""


@dataclass(frozen=True)
class Query:
    """Raises `BadQuery`. Lines are searched one by one: no match goes over a line's end."""

    text: str
    regex: bool = False
    ignore_case: bool = False

    def __post_init__(self) -> None:
        if not self.text or len(self.text) > TEXT_LONGEST:
            raise BadQuery(f"has 1 to {TEXT_LONGEST} characters")
        if "\n" in self.text or "\0" in self.text:
            raise BadQuery("a line has no newline in it, and no NUL can be searched for")
        try:
            _ = self._pattern
        except (re2.error, UnicodeError) as error:
            raise BadQuery(f"is no regular expression as RE2 knows them: {_said(error)}") from error

    @cached_property
    def needles(self) -> list[bytes]:
        """Texts that every match has in it, as far as can be told."""
        literals = _literals(self.text) if self.regex else [self.text.encode()]
        if self.ignore_case and not self._is_plain:
            literals = [part for literal in literals for part in _ODD.split(literal)]
        return [literal for literal in literals if len(literal) >= 3]

    def places(self, data: bytes) -> Iterator[int]:
        """Offsets of matches, rising; after one, the next is behind its line."""
        at = 0
        searched = data.lower() if self._is_plain and self.ignore_case else data
        while (found := self._find(searched, at)) >= 0:
            yield found
            at = data.find(b"\n", found) + 1
            if not at:
                return

    def _find(self, data: bytes, at: int) -> int:
        if self._is_plain:
            return data.find(self._literal, at)
        found = self._pattern.search(data, at)
        return found.start() if found else -1

    @cached_property
    def _is_plain(self) -> bool:
        """Found without any expression."""
        return not self.regex and (self.text.isascii() or not self.ignore_case)

    @cached_property
    def _literal(self) -> bytes:
        return (self.text.lower() if self.ignore_case else self.text).encode()

    @cached_property
    def _pattern(self) -> Any:
        options = re2.Options()
        options.never_nl, options.log_errors, options.max_mem = True, False, _MEMORY_BYTES
        options.case_sensitive = not self.ignore_case
        return re2.compile("(?m)" + (self.text if self.regex else re2.escape(self.text)), options)


def _said(error: Exception) -> str:
    """RE2's words, without what we put before the expression."""
    said = error.args[0] if error.args and isinstance(error, re2.error) else str(error)
    return (said.decode(errors="replace") if isinstance(said, bytes) else str(said)).replace("(?m)", "", 1)


def _literals(pattern: str) -> list[bytes]:
    """Of an expression: Python reads it much as RE2 does, and where it does not, nothing is known."""
    try:
        parsed = parser.parse(pattern)
    except (re.error, OverflowError, RecursionError):
        return []
    if parsed.state.flags & (re.IGNORECASE | re.VERBOSE):
        return []
    return [run.encode() for run in _runs(parsed) if run]


def _runs(parsed: Any) -> list[str]:
    """Characters that must follow one another, as far as they stand side by side."""
    runs = [""]
    for kind, value in parsed:
        if kind is kinds.LITERAL:
            runs[-1] += chr(value)
        elif kind is kinds.SUBPATTERN and not value[1] and not value[2]:
            runs += [*_runs(value[3]), ""]
        elif kind in (kinds.MAX_REPEAT, kinds.MIN_REPEAT) and value[0] >= 1:
            runs += ["", *_runs(value[2]), ""]
        elif kind is not kinds.AT:
            runs.append("")
    return [run for run in runs if "\n" not in run]
