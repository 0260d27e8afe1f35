"""From a job to what a driver is asked to run. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from jobs.quantities import to_bytes
from jobs.spec import JobSpec

from .drivers.protocol import LABEL_ATTEMPT, LABEL_INSTALLATION, LABEL_JOB, ContainerSpec, Mount


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
) -> ContainerSpec:
    """`image`: the resolved digest where there is one. `mounts`: the volumes, looked at. `secrets`: values by variable."""
    wants = spec.resources
    return ContainerSpec(
        name=container_name(installation, job_id, attempt),
        labels=container_labels(installation, job_id, attempt),
        image=image,
        command=tuple(spec.command) if spec.command is not None else None,
        entrypoint=tuple(spec.entrypoint) if spec.entrypoint is not None else None,
        script=spec.script,
        env={**spec.env, **secrets, "TOWLINE_JOB_ID": str(job_id), "TOWLINE_ATTEMPT": str(attempt)},
        working_dir=spec.working_dir,
        user=spec.user,
        stdin=spec.stdin,
        tty=spec.tty,
        cpus=wants.cpus,
        memory_bytes=to_bytes(wants.memory),
        disk_bytes=to_bytes(wants.disk) if wants.disk is not None else None,
        gpus=wants.gpus,
        pids=wants.pids,
        shm_bytes=to_bytes(wants.shm),
        network=spec.network,
        read_only=spec.read_only,
        mounts=mounts,
        arch=spec.arch,
    )
