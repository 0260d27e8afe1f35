"""Why a pod ended, from what the cluster said. Pure."""

from __future__ import annotations

from jobs.verdicts import Verdict
from workers.drivers.protocol import Observation


def judge(seen: Observation) -> Verdict | None:
    return None
