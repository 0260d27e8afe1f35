"""Places between two steps at which a process can be made to die, hang or fail, to see that nothing is lost by it.

For tests and drills: `TOWLINE_FAILPOINTS` names what happens where, production refuses it, and without it `reach` does
nothing. Pure of everything else, so that all may use it, drivers too.

    claimed=exit                 die as by kill -9
    created=sleep:30             go on after so many seconds
    chunk_before_commit=stop     stop as by SIGSTOP, until somebody sends SIGCONT
    running=error                raise FailpointError
    finished=exit@/tmp/once      only if that file can be made: once, whatever is started again
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

POINTS: Mapping[str, str] = {
    "submit_before_commit": "A new job is written, its commit is due.",
    "submit_before_hint": "A new job is committed, nobody was told.",
    "cancel_before_commit": "A cancel is written, its commit is due.",
    "cancel_before_hint": "A cancel is committed, its worker was not told.",
    "place_before_commit": "Jobs are assigned, the commit is due.",
    "place_before_hint": "An assignment is committed, the worker was not told.",
    "claim_before_commit": "An attempt is claimed, the commit is due.",
    "claimed": "An attempt is claimed, nothing was done for it.",
    "image_before": "The image was not looked for.",
    "image_after": "The image is there, the container is not.",
    "created": "The container is there, it was not started.",
    "started": "The container runs, the database does not know.",
    "running": "The attempt is marked as running, its output was not looked at.",
    "chunk_before_commit": "Output is written, its commit is due.",
    "chunk_after_commit": "Output is committed.",
    "stop_written": "That the container is to end is committed, no signal was sent.",
    "exited": "The container is over and read to its end, the database does not know.",
    "finish_before_commit": "The end is written, its commit is due.",
    "finished": "The end is committed, the container is there.",
    "removed": "The container is removed, the database does not know.",
    "run_over": "All is done; the task's outcome is not stored, the next placement not made.",
    "log_written": "A log lies in the storage, the database does not know.",
    "log_named": "The database knows it, and has all of it still.",
    "let_go_before_commit": "A worker that is told to stop gives an attempt up, the commit is due.",
    "hand_over_before_commit": "An attempt without an owner is given to a worker, the commit is due.",
    "hand_over_before_hint": "It is given, the worker was not told.",
}
ACTIONS = ("exit", "stop", "error", "sleep")
KILLED = 137


class FailpointError(Exception):
    """The failure that was asked for."""


@dataclass(frozen=True)
class Failure:
    """`seconds`: of a sleep. `once`: the file that must not be there."""

    action: str
    seconds: float = 0.0
    once: Path | None = None


def parse(text: str) -> dict[str, Failure]:
    """By point. ValueError for a point or an action that does not exist."""
    return dict(_parse_one(part.strip()) for part in text.split(",") if part.strip())


def _parse_one(text: str) -> tuple[str, Failure]:
    point, _, rest = text.partition("=")
    what, _, once = rest.partition("@")
    action, _, seconds = what.partition(":")
    if point not in POINTS:
        raise ValueError(f"no failpoint {point!r}: choose from {', '.join(POINTS)}")
    if action not in ACTIONS or bool(seconds) != (action == "sleep"):
        raise ValueError(f"{point}: write exit, stop, error or sleep:SECONDS, with @FILE behind it for once")
    return point, Failure(action, float(seconds or 0), Path(once) if once else None)


_armed: Mapping[str, Failure] = {}


def arm(failures: Mapping[str, Failure]) -> None:
    """For this process, from here on."""
    global _armed
    _armed = failures


def reach(point: str) -> None:
    """The process has come to `point`: what is to fail there, fails."""
    if _armed and (failure := _armed.get(point)) and _is_due(failure.once):
        _fail(point, failure)


def _is_due(once: Path | None) -> bool:
    if once is None:
        return True
    try:
        os.close(os.open(once, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except OSError:
        return False
    return True


def _fail(point: str, failure: Failure) -> None:
    print(f"failpoint {point}: {failure.action}", file=sys.stderr, flush=True)  # noqa: T201 - a logger may not come to write it
    if failure.action == "exit":
        os._exit(KILLED)
    elif failure.action == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
    elif failure.action == "sleep":
        time.sleep(failure.seconds)
    else:
        raise FailpointError(point)
