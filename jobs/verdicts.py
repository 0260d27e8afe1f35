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


ACTORS: Mapping[Kind, str] = {
    Kind.USER: "Whoever wrote the job: the program itself ended so.",
    Kind.RESOURCE: "Whoever wrote the job: it needs more than it asked for, or should use less.",
    Kind.TIMEOUT: "Whoever wrote the job: a limit in its `timeouts` was reached.",
    Kind.IMAGE: "Whoever wrote the job, or runs the registry.",
    Kind.CONFIG: "Whoever wrote the job, or set up the installation.",
    Kind.SCHEDULING: "Whoever runs the workers.",
    Kind.PLATFORM: "Whoever runs the platform: the job is not to blame.",
    Kind.CANCELLED: "Nobody: it was meant to end.",
}

# Codes and their meanings. A code is never renamed; a reserved one is not given by any runtime yet.
CODES: Mapping[Kind, Mapping[str, str]] = {
    Kind.USER: {
        "exit_code": "The program ended by itself with an exit code other than 0.",
        "killed_by_signal": "A signal ended it, and it was neither Towline nor the memory limit that sent it.",
        "command_not_found": "The image has no such program.",
        "command_not_executable": "There is such a file, but it can't be executed.",
        "bad_working_dir": "The working directory can't be entered or made.",
        "bad_user": "The user does not exist there, or the worker may not become it.",
        "wrong_platform": "The program is for another processor.",
    },
    Kind.RESOURCE: {
        "oom_killed": "The main process was killed because the memory limit was reached.",
        "oom_child": "A child was killed because the memory limit was reached; the main process ended by itself.",
        "disk_full": "There was no space left to write.",
        "pids_exhausted": "It wanted more processes than its limit.",
        "evicted_storage": "A cluster threw it out for the disk it used.",
    },
    Kind.TIMEOUT: {
        "timeout_queue": "It waited longer than `timeouts.queue`.",
        "timeout_start": "It did not start within `timeouts.start` of its worker taking it up, the pull included.",
        "timeout_run": "It ran longer than `timeouts.run`.",
        "timeout_idle": "It wrote nothing for `timeouts.idle`.",
    },
    Kind.IMAGE: {
        "image_not_found": "The registry knows no such image or tag.",
        "image_unauthorized": "The registry does not give it to this worker.",
        "image_registry_unreachable": "The registry does not answer.",
        "image_invalid_name": "That is not an image reference.",
        "image_wrong_platform": "The image is not to be had for the processor asked for.",
        "image_pull_failed": "The pull failed for another reason; the evidence has it.",
    },
    Kind.CONFIG: {
        "secret_missing": "A secret that it names was deleted before it started, or can't be decrypted.",
        "invalid_spec": "The runtime can't carry out what was asked for.",
        "policy_denied": "It is not allowed here.",
    },
    Kind.SCHEDULING: {
        "unschedulable": "The runtime can't give it what it needs, e.g. a GPU.",
    },
    Kind.PLATFORM: {
        "worker_lost": "Its worker is gone, and nobody else reaches its engine.",
        "node_lost": "The node it ran on is gone, was restarted, or was out of reach for too long.",
        "preempted": "A cluster took its place for something more important.",
        "evicted_node": "The node it ran on ran out of something, was drained, or ended it and did not say why.",
        "container_vanished": "Somebody removed the container while the job ran.",
        "engine_unavailable": "The engine did not answer all through `timeouts.start`, or was stopped and ended the container.",
        "internal_error": "A mistake of Towline's own; the evidence has it.",
    },
    Kind.CANCELLED: {
        "cancelled": "Somebody cancelled it.",
        "dependency_failed": "A job that it comes after did not succeed.",
        "superseded": "A newer job took its place. Reserved.",
    },
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

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Verdict:
        return cls(stored["code"], stored["summary"], tuple(stored["evidence"]), stored["remedy"])

    def as_json(self) -> dict[str, Any]:
        return {
            "code": self.code,
            "kind": self.kind.value,
            "summary": self.summary,
            "evidence": list(self.evidence),
            "remedy": self.remedy,
            "retryable": self.retryable,
        }
