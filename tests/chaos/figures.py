"""What a run has shown, in numbers: for the log of the test run, and as JSON for the documents."""

from __future__ import annotations

import statistics
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import pytest

from tests.chaos.evidence import Account
from tests.chaos.invariants import lines_lost
from tests.chaos.platform import Death
from tests.chaos.schedule import Injected

OWNED = ("starting", "adopted")


@dataclass(frozen=True)
class Spread:
    count: int
    median_seconds: float
    max_seconds: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Spread | None:
        return cls(len(seconds), round(statistics.median(seconds), 2), round(max(seconds), 2)) if seconds else None

    def __str__(self) -> str:
        return f"{self.median_seconds:.1f} / {self.max_seconds:.1f} s ({self.count})"


@dataclass(frozen=True)
class Figures:
    """`adopted`: from a run worker's death until somebody goes on with what it had; `replaced`: where it stayed away."""

    database: str
    runtimes: str
    seed: int
    seconds: float
    faults: int
    faults_by_kind: dict[str, int]
    deaths: int
    jobs: int
    attempts: int
    log_lines: int
    jobs_lost: int
    double_runs: int
    log_lines_lost: int
    adopted: Spread | None
    replaced: Spread | None
    answers: int
    unavailable: int
    answer_median_seconds: float
    answer_p95_seconds: float

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def table(self) -> str:
        rows = {
            "database, runtimes, seed": f"{self.database}, {self.runtimes}, {self.seed}",
            "faults survived": f"{self.faults} of {len(self.faults_by_kind)} kinds in {self.seconds:.0f} s",
            "processes that died": self.deaths,
            "jobs, attempts, lines": f"{self.jobs}, {self.attempts}, {self.log_lines}",
            "jobs lost, double runs, lines lost": f"{self.jobs_lost}, {self.double_runs}, {self.log_lines_lost}",
            "worker killed → its job adopted, median / max": self.adopted or "-",
            "worker gone → another one has its job, median / max": self.replaced or "-",
            "REST answers, 503 among them": f"{self.answers}, {self.unavailable}",
            "REST answer, median / p95": f"{self.answer_median_seconds:.3f} / {self.answer_p95_seconds:.3f} s",
        }
        return "\n".join(f"  {name:<53} {value}" for name, value in rows.items())


def figures(
    *, seed: int, database: str, runtimes: str, faults: list[Injected], seconds: float, deaths: list[Death],
    accounts: list[Account], statuses: Counter[int], answers: list[float],
) -> Figures:  # fmt: skip
    times = list(adoptions(accounts, deaths))
    return Figures(
        database=database,
        runtimes=runtimes,
        seed=seed,
        seconds=round(seconds, 1),
        faults=len(faults),
        faults_by_kind=dict(sorted(Counter(each.name for each in faults).items())),
        deaths=len(deaths),
        jobs=len(accounts),
        attempts=sum(len(account.attempts) for account in accounts),
        log_lines=sum(attempt["log"]["lines"] for account in accounts for attempt in account.attempts),
        jobs_lost=sum(account.story.seen is None for account in accounts),
        double_runs=sum(probe.double for account in accounts for probe in account.probes.values()),
        log_lines_lost=sum(
            lines_lost(account, attempt["number"]) for account in accounts for attempt in account.attempts
        ),
        adopted=Spread.of([each for each, away in times if not away]),
        replaced=Spread.of([each for each, away in times if away]),
        answers=sum(statuses.values()),
        unavailable=statuses[503],
        answer_median_seconds=round(statistics.median(answers), 4),
        answer_p95_seconds=round(sorted(answers)[len(answers) * 95 // 100], 4),
    )


def tell(capsys: pytest.CaptureFixture[str], text: str) -> None:
    """Into the log of the test run, whatever it captures."""
    with capsys.disabled():
        sys.stdout.write(f"\n{text}\n")


def adoptions(accounts: list[Account], deaths: list[Death]) -> Iterator[tuple[float, float]]:
    """For every attempt that a run worker had when it died: seconds until the next adoption, and how long it was kept away."""
    for account in accounts:
        for attempt in account.attempts:
            events = [event for event in account.events if event["attempt"] == attempt["number"]]
            for death in deaths:
                if death.name.startswith("run") and (seconds := _adopted_after(death, events)) is not None:
                    yield seconds, death.away_seconds


def _adopted_after(death: Death, events: list[dict[str, Any]]) -> float | None:
    before = [event for event in events if _at(event) <= death.at]
    owned = [event for event in before if event["kind"] in (*OWNED, "detached", "handed_over")]
    ended = any(event["kind"].removeprefix("attempt_") in ("succeeded", "failed", "cancelled") for event in before)
    if ended or not owned or owned[-1]["kind"] not in OWNED or owned[-1]["actor"] != f"{death.name}@chaos":
        return None
    return next(
        (_at(event) - death.at for event in events if event["kind"] == "adopted" and _at(event) > death.at), None
    )


def _at(event: dict[str, Any]) -> float:
    return datetime.fromisoformat(event["at"]).timestamp()
