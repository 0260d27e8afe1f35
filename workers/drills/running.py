"""A drill from its look around to its report. Whatever happens in between, what it did is undone."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from jobs.models import Job

from .drill import CutShort, Drill, Refused, Ways
from .ground import be_alone
from .promise import Finding
from .scene import Audience, Scene

MEANT = {"command": None, "stop": None, "start": None, "folder": None, "limit": Ways.limit}


@dataclass(frozen=True)
class Report:
    drill: str
    worker: str
    runtime: str
    findings: Sequence[Finding]
    jobs: Sequence[Job]

    @property
    def passed(self) -> bool:
        return all(finding.held for finding in self.findings)

    def as_json(self) -> dict[str, Any]:
        return {
            "drill": self.drill,
            "passed": self.passed,
            "worker": self.worker,
            "runtime": self.runtime,
            "findings": [finding.as_json() for finding in self.findings],
            "jobs": [{"id": str(job.pk), "state": job.state} for job in self.jobs],
        }


def prepare(drill: Drill, ways: Ways, audience: Audience) -> Scene:
    """Look whether it can be run, and what must hold. Changes nothing. Raises Refused."""
    for option, default in MEANT.items():
        if getattr(ways, option) != default and option not in drill.takes:
            raise Refused(f"--{option} means nothing to {drill.name}: leave it out")
    be_alone()
    scene = Scene(drill, ways, audience)
    drill.look(scene)
    scene.expect()
    return scene


def carry_out(scene: Scene) -> Report:
    """Raises Refused when the fault could not be done."""
    with scene.undo:
        with suppress(CutShort):
            scene.drill.run(scene)
        found = [*scene.findings.values(), *scene.unseen()]
    return Report(scene.drill.name, str(scene.worker), scene.runtime, found, scene.jobs)
