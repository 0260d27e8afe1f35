"""What drivers tell of an engine, an image, and what a container uses. Pure data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Usage:
    """What a running container uses now. `memory_peak_bytes` is the highest seen by the runtime, where it knows."""

    cpu_seconds: float
    memory_bytes: int
    memory_peak_bytes: int
    pids: int | None = None


@dataclass(frozen=True)
class RunningProcess:
    """One process of a running container. `state` is the kernel's letter: R runs, S sleeps, D waits for a disk …"""

    pid: int
    state: str
    cpu_seconds: float
    command: str


@dataclass(frozen=True)
class Image:
    """A resolved image. `digest` pins it (`repo@sha256:…`), or is the local image id where it came from no registry."""

    reference: str
    digest: str
    architecture: str
    size_bytes: int
    pulled: bool


@dataclass(frozen=True)
class PullProgress:
    """How far a pull is: bytes over all layers known so far, and the runtime's word for what it does."""

    done_bytes: int
    total_bytes: int
    status: str


@dataclass(frozen=True)
class Engine:
    """Identity and capacity of what a driver speaks to. `id` is stable and unique to the engine, not to the worker.

    `elastic`: a cluster that finds room, and queues, by itself. What it has is then that of its largest machine, 0 where
    unknown, and `arch` is "" where it has several.
    """

    id: str
    runtime: str
    version: str
    arch: str  # in Docker's words: amd64, arm64 …
    cpus: float
    memory_bytes: int
    gpus: int = 0
    detail: Mapping[str, Any] = field(default_factory=dict)
    elastic: bool = False


@dataclass(frozen=True)
class Mount:
    """A folder or file of the engine's host, by its real path, in the container. It is there: the caller has looked."""

    source: str
    target: str
    read_only: bool
