"""A job's volumes as mounts, looked at by the host that mounts them. What submitting allowed may have changed since."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from jobs.verdicts import Verdict
from jobs.volumes import Allowed, Volume, objection, real

from .drivers.protocol import Mount, Refused


def mounts_of(volumes: Sequence[Volume], allowed: Iterable[Allowed]) -> tuple[Mount, ...]:
    """By their real paths. Raises `Refused` for one that is not allowed, or not there."""
    return tuple(_mount_of(volume, allowed) for volume in volumes)


def _mount_of(volume: Volume, allowed: Iterable[Allowed]) -> Mount:
    if (why := objection(volume, allowed)) is not None:
        raise Refused(
            Verdict(
                "policy_denied",
                f"The volume {volume.source} is not given to jobs on this worker.",
                (why, f"real path: {real(volume.source)}"),
                "Use a folder that TOWLINE_VOLUMES of the worker allows; a symbolic link counts by where it leads.",
            )
        )
    path = Path(real(volume.source))
    if not path.is_dir() and not path.is_file():
        raise Refused(
            Verdict(
                "invalid_spec",
                f"The volume {volume.source} is neither a folder nor a file on this worker.",
                (f"real path: {path}",),
                "Make it there first, or choose workers that have it by `requires`. A worker that runs in a container "
                "itself needs the folder at the same path.",
            )
        )
    return Mount(str(path), volume.target, volume.read_only)
