"""Verdicts: why an attempt ended as it did. The codes are public and stable; see docs/api.md.

Pure values. Runtimes judge what they saw (`workers/drivers/*`), the runner adds what we did ourselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """Who has to act."""

    USER = "user"
    RESOURCE = "resource"
    TIMEOUT = "timeout"
    IMAGE = "image"
    CONFIG = "config"
    SCHEDULING = "scheduling"
    PLATFORM = "platform"
    CANCELLED = "cancelled"


CODES: Mapping[Kind, tuple[str, ...]] = {
    Kind.USER: (
        "exit_code",
        "killed_by_signal",
        "command_not_found",
        "command_not_executable",
        "bad_working_dir",
        "bad_user",
        "wrong_platform",
    ),
    Kind.RESOURCE: ("oom_killed", "oom_child", "disk_full", "pids_exhausted", "evicted_storage"),
    Kind.TIMEOUT: ("timeout_queue", "timeout_start", "timeout_run", "timeout_idle"),
    Kind.IMAGE: (
        "image_not_found",
        "image_unauthorized",
        "image_registry_unreachable",
        "image_invalid_name",
        "image_wrong_platform",
        "image_pull_failed",
    ),
    Kind.CONFIG: ("secret_missing", "invalid_spec", "policy_denied"),
    Kind.SCHEDULING: ("unschedulable",),
    Kind.PLATFORM: (
        "worker_lost",
        "node_lost",
        "preempted",
        "evicted_node",
        "container_vanished",
        "engine_unavailable",
        "internal_error",
    ),
    Kind.CANCELLED: ("cancelled", "dependency_failed", "superseded"),
}
KIND_OF: Mapping[str, Kind] = {code: kind for kind, codes in CODES.items() for code in codes}


@dataclass(frozen=True)
class Verdict:
    """A stable code, who has to act, what was seen, and what to do about it.

    `evidence` is a tuple of short sentences or `key: value` facts as the runtime gave them, most telling first.
    """

    code: str
    summary: str
    evidence: tuple[str, ...] = field(default=())
    remedy: str = ""

    def __post_init__(self) -> None:
        if self.code not in KIND_OF:
            raise ValueError(f"no such verdict code: {self.code!r}")

    @property
    def kind(self) -> Kind:
        return KIND_OF[self.code]

    @property
    def retryable(self) -> bool:
        """Whether the same job may well succeed when run again unchanged."""
        return self.kind is Kind.PLATFORM or self.code == "image_registry_unreachable"

    def as_json(self) -> dict[str, Any]:
        return {
            "code": self.code,
            "kind": self.kind.value,
            "summary": self.summary,
            "evidence": list(self.evidence),
            "remedy": self.remedy,
            "retryable": self.retryable,
        }
