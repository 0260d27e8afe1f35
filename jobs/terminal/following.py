"""A job's log in the terminal: the exact bytes, what it waits for meanwhile, and an exit code for how it ended."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Self
from uuid import UUID

from rich.console import Console
from rich.status import Status
from rich.text import Text

from jobs.logs.following import Lines, Missing, News, Over, follow
from jobs.logs.records import StoredLine
from jobs.quantities import human_bytes

from .badges import badge
from .words import safe

TIMED_OUT, CANCELLED, FAILED = 124, 130, 1
Print = Callable[[StoredLine, int], None]


@dataclass(frozen=True)
class Following:
    """What to follow, and how to print it. `attempt` None: the newest, and every one after it."""

    job: UUID
    print_line: Print
    attempt: int | None = None
    start: int = 1
    stream: str | None = None


def follow_to_end(wanted: Following) -> dict[str, Any]:
    """Print until the job is over; how it ended. KeyboardInterrupt passes: the job itself goes on."""
    return asyncio.run(_follow(wanted))


async def _follow(wanted: Following) -> dict[str, Any]:
    steps = follow(wanted.job, attempt=wanted.attempt, start=wanted.start, stream=wanted.stream)
    # Closed while the event loop still runs: it unsubscribes from Redis.
    async with aclosing(steps), StatusLine() as line:
        async for step in steps:
            match step:
                case Lines(attempt=attempt, lines=lines):
                    line.clear()
                    for each in lines:
                        wanted.print_line(each, attempt)
                    line.newline_is_due = not lines[-1].data.endswith(b"\n")
                case Missing(gap=gap):
                    line.say(str(gap))
                case News(data=data):
                    line.show(what_it_waits_for(data))
                case Over(data=data):
                    return data
    raise KeyboardInterrupt  # the process is told to end


def print_exactly(line: StoredLine, attempt: int) -> None:
    """The bytes as the job wrote them, stderr to stderr and all else to stdout."""
    out = sys.stderr.buffer if line.stream == "stderr" else sys.stdout.buffer
    out.write(line.data)
    out.flush()


def print_stamped(line: StoredLine, attempt: int) -> None:
    print_exactly(StoredLine(line.n, line.at_ns, line.stream, f"{line.time} ".encode() + line.data), attempt)


def exit_code_of(end: Mapping[str, Any]) -> int:
    """The job's own where it has one; 124 on a time-out, 130 when cancelled, 1 for every other failure."""
    kind = (end["verdict"] or {}).get("kind")
    if end["state"] == "succeeded":
        return 0
    if kind == "timeout":
        return TIMED_OUT
    if end["state"] == "cancelled":
        return CANCELLED
    return end["exit_code"] or FAILED


def what_it_waits_for(news: Mapping[str, Any]) -> str:
    """One line while there is nothing to see of the job itself; empty once it runs or is over."""
    if news["state"] == "queued":
        detail = news["waiting_detail"] or "not yet looked at by the placement"
        return f"waiting ({news['waiting_reason'] or 'capacity'}): {detail}"
    if news["attempt_state"] not in ("assigned", "starting"):
        return ""
    if reason := news["waiting_reason"]:
        return f"waiting ({reason}) in {news['worker']}'s cluster: {news['waiting_detail']}"
    if pull := news["progress"]:
        return f"pulling the image on {news['worker']}: {_progress(pull)}"
    return f"starting on {news['worker']}"


def _progress(pull: Mapping[str, Any]) -> str:
    done, total = pull.get("done") or 0, pull.get("total") or 0
    share = f"{100 * done // total} % of {human_bytes(total)}" if total else human_bytes(done)
    return f"{share} {pull.get('status') or ''}".strip()


@dataclass
class StatusLine:
    """The last line of a terminal, on stderr; nothing where stderr is no terminal."""

    newline_is_due: bool = False
    _console: Console = field(default_factory=lambda: Console(stderr=True, highlight=False))
    _status: Status | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        self.clear()

    def show(self, text: str) -> None:
        if not text or not self._console.is_terminal:
            return self.clear()
        shown = Text(safe(text), style="dim", overflow="ellipsis", no_wrap=True)
        if self._status:
            self._status.update(shown)
            return None
        self._end_line()
        self._status = self._console.status(shown)
        return self._status.start()

    def say(self, text: str) -> None:
        """A line that stays."""
        self.clear()
        if self._console.is_terminal:
            self._end_line()
            self._console.print(Text(f"— {text} —", style="dim"))

    def _end_line(self) -> None:
        """The job's last line may have no end, and must not be written over."""
        if self.newline_is_due:
            self._console.print()
            self.newline_is_due = False

    def clear(self) -> None:
        if self._status:
            self._status.stop()
            self._status = None


def say_how_it_ended(job_id: object, end: Mapping[str, Any]) -> None:
    """On stderr: always on a terminal; else only where no exit code of the job's own says it."""
    console = Console(stderr=True, highlight=False)
    verdict = end["verdict"]
    says_it_itself = verdict is None or verdict["code"] == "exit_code"
    if says_it_itself and not console.is_terminal:
        return
    text = Text.assemble(badge(end["state"]), f"  job {job_id}")
    if verdict:
        text.append(f"  {verdict['code']}: {safe(verdict['summary'])}")
    console.print(text, soft_wrap=True)
    if verdict and verdict["remedy"]:
        console.print(Text(f"  {safe(verdict['remedy'])}", style="dim"), soft_wrap=True)


def say_detached(job_id: object) -> None:
    """After Ctrl-C: the job goes on."""
    console = Console(stderr=True, highlight=False)
    console.print(f"\nDetached; the job goes on. Follow it: manage.py logs -f {job_id}", soft_wrap=True)
    console.print(f"End it: manage.py cancel {job_id}", soft_wrap=True)


def say_submitted(job_id: object) -> None:
    """On a terminal only: what is piped on is the job's own output and nothing else."""
    console = Console(stderr=True, highlight=False)
    if console.is_terminal:
        console.print(Text(f"job {job_id}", style="dim"))
