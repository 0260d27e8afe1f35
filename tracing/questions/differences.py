"""What failing runs have in common that passing ones lack: a node, a digest, a worker, a region, an hour. Pure.

Each value of each attribute is put to Fisher's exact test: had failures nothing to do with it, how likely were so many of them
among the runs that have it? As many values are tested, a few would look telling by chance. Bonferroni's correction is for
that, and Tarone's refinement of it: values too rare to ever be significant are not counted as tested.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, lgamma

ALPHA = 0.01  # how likely it may be that anything at all is reported of runs that do not differ
RUNS_LEAST = 3

Run = Mapping[str, str]


@dataclass(frozen=True)
class Difference:
    """`failing` of all `failing_runs` have this value, `passing` of all `passing_runs`. `chance` is corrected."""

    attribute: str
    value: str
    failing: int
    failing_runs: int
    passing: int
    passing_runs: int
    chance: float

    @property
    def failing_share(self) -> float:
        return self.failing / self.failing_runs

    @property
    def passing_share(self) -> float:
        return self.passing / self.passing_runs

    @property
    def failure_rate(self) -> float:
        """Of the runs that have this value."""
        return self.failing / (self.failing + self.passing)


def too_few(failing: Sequence[Run], passing: Sequence[Run]) -> str:
    """Why nothing can be said of so few runs, however they differ; empty if something can."""
    least = min(len(failing), len(passing))
    if least >= RUNS_LEAST and exp(-_log_choose(len(failing) + len(passing), least)) <= ALPHA:
        return ""
    counted = f"{len(failing)} failing and {len(passing)} passing runs"
    return f"{counted} are too few to tell chance from cause: widen the window, 5 of each are enough."


def differences(failing: Sequence[Run], passing: Sequence[Run]) -> list[Difference]:
    """The significant ones, most telling first. Empty also where there are `too_few`. A run may lack an attribute."""
    if too_few(failing, passing):
        return []
    among, elsewhere = _counted(failing), _counted(passing)
    sizes = len(failing), len(passing)
    best = {item: _chance(*_most_telling(among[item] + elsewhere[item], sizes[0]), *sizes) for item in among}
    tested = _tested(sorted(best.values()))
    found = []
    for item in (item for item, chance in best.items() if chance * tested <= ALPHA):
        chance = _chance(among[item], elsewhere[item], *sizes) * tested
        if chance <= ALPHA:
            found.append(Difference(*item, among[item], sizes[0], elsewhere[item], sizes[1], chance))
    return sorted(found, key=lambda each: (each.chance, -each.failing, each.attribute, each.value))


def _counted(runs: Sequence[Run]) -> Counter[tuple[str, str]]:
    return Counter(item for run in runs for item in run.items() if item[1])


def _tested(best: list[float]) -> int:
    """Tarone: the least k such that no more than k values could be significant at ALPHA / k. `best` is sorted."""
    return next(k for k in range(1, len(best) + 2) if bisect_right(best, ALPHA / k) <= k)


def _most_telling(having: int, failing_runs: int) -> tuple[int, int]:
    """How so many runs would be spread if the value had to do with every failure that it can."""
    failing = min(having, failing_runs)
    return failing, having - failing


def _chance(failing: int, passing: int, failing_runs: int, passing_runs: int) -> float:
    """Fisher's exact test, one-sided: so many failing ones, or more, among those that have the value."""
    having = failing + passing
    most = min(having, failing_runs)
    whole = _log_choose(failing_runs + passing_runs, having)
    ways = (_log_choose(failing_runs, k) + _log_choose(passing_runs, having - k) for k in range(failing, most + 1))
    return min(1.0, sum(exp(way - whole) for way in ways))


def _log_choose(among: int, taken: int) -> float:
    if not 0 <= taken <= among:
        return float("-inf")
    return lgamma(among + 1) - lgamma(taken + 1) - lgamma(among - taken + 1)
