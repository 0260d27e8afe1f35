"""The newest pages of an attempt's log in memory, shared by all who are near its end. And how pages are cut."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator

from .records import StoredLine
from .steps import Lines

PAGE_LINES = 2000
PAGE_BYTES = 256 * 1024
LINE_COST = 600  # what a line takes in memory besides its bytes: the object, and its JSON twice over


def cut(attempt: int, lines: Iterable[StoredLine], before: Collection[int]) -> Iterator[Lines]:
    """Pages of lines that follow one another; a page begins wherever lines are missing, and at the lines `before`."""
    page: list[StoredLine] = []
    size = 0
    for line in lines:
        full = len(page) >= PAGE_LINES or size >= PAGE_BYTES
        if page and (full or line.n != page[-1].n + 1 or line.n in before):
            yield Lines(attempt, page)
            page, size = [], 0
        page.append(line)
        size += len(line.data)
    if page:
        yield Lines(attempt, page)


def cost(page: Lines) -> int:
    return sum(2 * len(line.data) + LINE_COST for line in page.lines)


class Window:
    """All stored lines from `first` up to, not including, `next`."""

    def __init__(self, attempt: int, first: int) -> None:
        self.attempt = attempt
        self.first = self.next = first
        self._pages: list[Lines] = []
        self._cost = 0

    def add(self, pages: Iterable[Lines], upto: int, most: int) -> None:
        """Pages that go on at `next`; `upto` is where it ends now. The oldest leave when all cost more than `most`."""
        for page in pages:
            self._pages.append(page)
            self._cost += cost(page)
        self.next = upto
        while self._cost > most and len(self._pages) > 1:
            gone = self._pages.pop(0)
            self._cost -= cost(gone)
            self.first = gone.last + 1

    def page(self, n: int) -> Lines | None:
        """The first page with a line from `n` on, without what is before it; None when there is none."""
        at = bisect_left(self._pages, n, key=lambda page: page.last)
        return self._pages[at].starting_at(n) if at < len(self._pages) else None
