"""docs/states.md: the legal moves of jobs and attempts, as pictures."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from jobs.states import ATTEMPT_MOVES, FINAL_ATTEMPT, FINAL_JOB, JOB_MOVES, AttemptState, JobState, State

from .markdown import mermaid, page

INTRODUCTION = (
    "Only `jobs.moves.move` writes a state: one conditional UPDATE that succeeds from the states drawn here and from no "
    "other, with an entry on the time-line in the same transaction. The database's CHECK constraints know the same names."
)
JOB = (
    "A job goes back to `queued` when its attempt is over and another one is due by its retry policy. The arrows from "
    "`failed` and `cancelled` are for a retry by hand."
)
ATTEMPT = (
    "An attempt is one try. It ends once. `lost` is for one whose worker went away and that nobody could adopt: what "
    "became of its container is then not known."
)


Moves = Mapping[Any, frozenset[Any]]  # a state to those that it may become


def states_page() -> str:
    return page(
        "States",
        "jobs/states.py",
        INTRODUCTION,
        "## Jobs",
        JOB,
        mermaid(_diagram(JobState.QUEUED, JOB_MOVES, FINAL_JOB)),
        "## Attempts",
        ATTEMPT,
        mermaid(_diagram(AttemptState.ASSIGNED, ATTEMPT_MOVES, FINAL_ATTEMPT)),
    )


def _diagram(first: State, moves: Moves, final: Collection[State]) -> Iterator[str]:
    yield "stateDiagram-v2"
    yield f"    [*] --> {first.value}"
    order = list(type(first))
    for origin, targets in moves.items():
        # A set has no order of its own; the file must be the same every time.
        for target in sorted(targets, key=order.index):
            yield f"    {origin.value} --> {target.value}"
    for state in order:
        if state in final:
            yield f"    {state.value} --> [*]"
