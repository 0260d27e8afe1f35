"""Why a pod that was told to start has not begun, and why one was not even taken. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jobs.verdicts import Verdict
from workers.drivers.protocol import ContainerSpec, Holdup


def holdup(pod: Mapping[str, Any], events: Sequence[Mapping[str, Any]] = ()) -> Holdup | None:
    return None


def refusal(status: int, message: str, spec: ContainerSpec) -> Verdict | Holdup | None:
    return None
