"""A progress bar on stderr, where that is a terminal; nothing elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


@dataclass(frozen=True)
class Bar:
    """One task of a rich progress display. `disable`: nobody sees it."""

    _progress: Progress
    _task: int

    @property
    def disable(self) -> bool:
        return self._progress.disable

    def expect(self, total: int) -> None:
        self._progress.update(self._task, total=total)  # type: ignore[arg-type]  # a TaskID is an int

    def advance(self, by: int) -> None:
        self._progress.advance(self._task, by)  # type: ignore[arg-type]


@contextmanager
def progress_bar(what: str, *, in_bytes: bool = False) -> Iterator[Bar]:
    """Counts `what`, or bytes of it."""
    console = Console(stderr=True, highlight=False)
    amount = DownloadColumn(binary_units=True) if in_bytes else MofNCompleteColumn()
    columns = (TextColumn("{task.description}"), BarColumn(), amount, TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        yield Bar(progress, progress.add_task(what, total=None))
