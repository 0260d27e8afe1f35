"""Samples and what is said of them: median, 90th percentile, spread. Times are milliseconds. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Sequence


def median(values: Sequence[float]) -> float:
    return statistics.median(values) if values else float("nan")


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` (0 to 1) of the samples do not exceed: one of them, none made up between two."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def spread(values: Sequence[float]) -> float:
    """How noisy: the middle half of the samples, as a share of their median."""
    return (percentile(values, 0.75) - percentile(values, 0.25)) / median(values)


def differences(these: Sequence[float], those: Sequence[float]) -> list[float]:
    """Round by round, so that what slows the machine down for a while slows both down."""
    return [a - b for a, b in zip(these, those, strict=True)]
