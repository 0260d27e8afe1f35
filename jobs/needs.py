"""What a worker must have for a job: taken from the spec, stored with the job, compared by the placement. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any

import orjson

from .quantities import to_bytes


@dataclass(frozen=True)
class Needs:
    """Jobs with the same needs are looked at once."""

    runtime: str | None = None
    arch: str | None = None
    region: str | None = None
    requires: frozenset[tuple[str, str]] = frozenset()
    cpus: float = 1.0
    memory_bytes: int = 0
    gpus: int = 0
    volumes: bool = False  # folders of the worker's own host

    @property
    def sort(self) -> Needs:
        """The same without amounts."""
        return replace(self, cpus=0, memory_bytes=0, gpus=0)

    @property
    def shape(self) -> str:
        """A name for these very needs, the same in every process: what waiting jobs are sorted out by."""
        return hashlib.md5(orjson.dumps(self.as_json(), option=orjson.OPT_SORT_KEYS), usedforsecurity=False).hexdigest()

    def with_memory(self, memory_bytes: int) -> Needs:
        return replace(self, memory_bytes=memory_bytes)

    def as_json(self) -> dict[str, Any]:
        return {
            "runtime": self.runtime,
            "arch": self.arch,
            "region": self.region,
            "requires": dict(sorted(self.requires)),
            "cpus": self.cpus,
            "memory_bytes": self.memory_bytes,
            "gpus": self.gpus,
            "volumes": self.volumes,
        }

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Needs:
        return cls(**{**stored, "requires": frozenset(stored.get("requires", {}).items())})

    @classmethod
    def of(cls, spec: dict[str, Any]) -> Needs:
        """Of a stored spec, i.e. with defaults filled in."""
        resources = spec["resources"]
        return cls(
            runtime=spec["runtime"] or ("docker" if spec.get("tty") else None),
            arch=spec["arch"],
            region=spec["region"],
            requires=frozenset(spec["requires"].items()),
            cpus=float(resources["cpus"]),
            memory_bytes=to_bytes(resources["memory"]),
            gpus=resources["gpus"],
            volumes=bool(spec["volumes"]),
        )
