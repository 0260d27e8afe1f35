"""Where jobs run: the Docker engine and the process runtime as this machine sees them, and the workers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings

from jobs.quantities import human_bytes
from workers.drivers.protocol import Engine, Unavailable
from workers.engines import driver
from workers.models import Worker, WorkerState

from .finding import Check, Finding, failed, fine, warn

OVERLAYS = ("overlay2", "overlayfs", "fuse-overlayfs", "btrfs", "zfs")


def docker() -> Finding:
    named = settings.TOWLINE.TOWLINE_RUNTIMES
    if named and "docker" not in named:
        return fine("docker", "not offered (TOWLINE_RUNTIMES)")
    try:
        engine = driver("docker").probe()
    except Unavailable as error:
        return _no_docker(str(error))
    return judge_docker(engine)


def _no_docker(why: str) -> Finding:
    """Only trouble where jobs are meant to run in it."""
    remedy = "Start the engine and give this user its socket, or set DOCKER_HOST or TOWLINE_DOCKER_URL."
    environment = settings.TOWLINE
    if environment.TOWLINE_RUNTIMES or not environment.process_runtime_allowed:
        return failed("docker", why[:300], remedy)
    return warn("docker", f"no engine answers, jobs run as plain processes: {why[:200]}", remedy)


def judge_docker(engine: Engine) -> Finding:
    """By what it says of itself."""
    detail = engine.detail
    said = (
        f"{engine.version}, {engine.arch}, {engine.cpus:g} cpus, {human_bytes(engine.memory_bytes)}, "
        f"storage {detail.get('Driver')}, cgroup v{detail.get('CgroupVersion') or '1'}"
    )
    risks = docker_risks(detail)
    if risks:
        return warn("docker", "; ".join([said, *risks]), " ".join(risks.values()))
    return fine("docker", said)


def docker_risks(detail: Mapping[str, Any]) -> dict[str, str]:
    """What works and may bite, with its remedy."""
    risks = {}
    if not detail.get("LiveRestoreEnabled"):
        risks["live-restore is off: a restart of the engine ends every running job"] = (
            'Set "live-restore": true in the engine\'s daemon.json and reload it.'
        )
    if detail.get("Driver") not in OVERLAYS:
        risks[f"storage {detail.get('Driver')} copies whole images for every container"] = (
            "Use overlay2 on a file system that carries it."
        )
    return risks


def process() -> Finding:
    if not settings.TOWLINE.process_runtime_allowed:
        return fine("process", "off in production mode")
    engine = driver("process").probe()
    return fine("process", f"{engine.cpus:g} cpus, {human_bytes(engine.memory_bytes)}, no isolation: for trying out")


def workers() -> Finding:
    rows = list(Worker.objects.with_clock())
    online = [worker for worker in rows if worker.state == WorkerState.ONLINE]
    silent = [worker.name for worker in rows if worker.state in (WorkerState.LOST, WorkerState.SUSPECT)]
    if not online:
        return failed("workers", "none is online, so jobs wait", "Start one: `manage.py up`, or `manage.py serve run`.")
    slots = sum(worker.slots for worker in online)
    runtimes = ", ".join(sorted({runtime for worker in online for runtime in worker.runtimes}))
    said = f"{len(online)} online with {slots} slots for {runtimes}"
    if silent:
        return warn("workers", f"{said}; not heard of: {', '.join(silent)}", "See to them: `manage.py workers`.")
    return fine("workers", said)


CHECKS = (
    Check("docker", docker),
    Check("process", process, "Let this user write to TOWLINE_DATA_DIR."),
    Check("workers", workers, "Run `manage.py migrate`."),
)
