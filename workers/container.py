"""From a job to what a driver is asked to run. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from jobs.quantities import to_bytes
from jobs.spec import JobSpec, Resources, Timeouts

from .drivers.protocol import LABEL_ATTEMPT, LABEL_INSTALLATION, LABEL_JOB, ContainerSpec, Mount

SPARE_SECONDS = 60.0  # on top of all that a job may take, before a runtime ends it by itself


@dataclass(frozen=True)
class Told:
    """What a container is told of the platform, by variable. `own` is ours whatever the job says, `offered` is there where it
    says nothing; `hidden` names what is secret of it.
    """

    own: Mapping[str, str] = field(default_factory=dict, repr=False)
    offered: Mapping[str, str] = field(default_factory=dict, repr=False)
    hidden: frozenset[str] = frozenset()


NOTHING = Told()


def container_name(installation: str, job_id: object, attempt: int) -> str:
    """Derived from ids alone, so that anybody finds the container again."""
    return f"{installation}-{job_id}-a{attempt}"


def container_labels(installation: str, job_id: object, attempt: int) -> dict[str, str]:
    return {LABEL_INSTALLATION: installation, LABEL_JOB: str(job_id), LABEL_ATTEMPT: str(attempt)}


def container_spec(
    spec: JobSpec,
    installation: str,
    job_id: object,
    attempt: int,
    image: str,
    mounts: tuple[Mount, ...] = (),
    secrets: Mapping[str, str] = MappingProxyType({}),
    labels: Mapping[str, str] = MappingProxyType({}),
    region: str = "",
    told: Told = NOTHING,
) -> ContainerSpec:
    """`image`: the resolved digest where there is one. `mounts`: the volumes, looked at. `secrets`: values by variable.

    `labels` and `region`: what the worker itself vouches for; the rest of what the job requires is the runtime's to find.
    `told`: see `calling_back`.
    """
    ours = {"TOWLINE_JOB_ID": str(job_id), "TOWLINE_ATTEMPT": str(attempt), **told.own}
    return ContainerSpec(
        name=container_name(installation, job_id, attempt),
        labels=container_labels(installation, job_id, attempt),
        image=image,
        env={**told.offered, **spec.env, **secrets, **ours},
        secret_env=frozenset(secrets) | told.hidden,
        network=spec.network,
        read_only=spec.read_only,
        mounts=mounts,
        arch=spec.arch,
        region=None if spec.region == region else spec.region,
        requires={key: value for key, value in spec.requires.items() if labels.get(key) != value},
        project=spec.project,
        grace_seconds=spec.timeouts.grace,
        deadline_seconds=_deadline(spec.timeouts),
        **_program(spec),
        **_amounts(spec.resources),
    )


def _program(spec: JobSpec) -> dict[str, Any]:
    return {
        "command": tuple(spec.command) if spec.command is not None else None,
        "entrypoint": tuple(spec.entrypoint) if spec.entrypoint is not None else None,
        "script": spec.script,
        "working_dir": spec.working_dir,
        "user": spec.user,
        "stdin": spec.stdin,
        "tty": spec.tty,
    }


def _amounts(wants: Resources) -> dict[str, Any]:
    return {
        "cpus": wants.cpus,
        "memory_bytes": to_bytes(wants.memory),
        "disk_bytes": to_bytes(wants.disk) if wants.disk is not None else None,
        "gpus": wants.gpus,
        "pids": wants.pids,
        "shm_bytes": to_bytes(wants.shm),
    }


def _deadline(limits: Timeouts) -> float | None:
    """When a runtime is to end it without us: later than we should have, whatever happened."""
    if limits.start is None or limits.run is None:
        return None
    return limits.start + limits.run + limits.grace + SPARE_SECONDS
