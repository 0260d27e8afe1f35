"""The engines this process reaches: drivers made from settings, probed once when a worker starts."""

from __future__ import annotations

import logging
import os
from functools import cache
from typing import Any

from django.conf import settings

from .drivers.protocol import Driver, Engine, Unavailable

log = logging.getLogger(__name__)


@cache
def driver(runtime: str) -> Driver:
    """The driver of a runtime. Imported only when wanted: an SDK costs start-up time."""
    if runtime == "docker":
        from .drivers.docker.driver import DockerDriver

        return DockerDriver(
            base_url=settings.TOWLINE.TOWLINE_DOCKER_URL or os.environ.get("DOCKER_HOST"),
            lock_dir=settings.TOWLINE.TOWLINE_DATA_DIR / "locks",
        )
    if runtime == "process":
        from .drivers.process.driver import ProcessDriver

        return ProcessDriver(root=settings.TOWLINE.TOWLINE_DATA_DIR / "processes")
    raise ValueError(f"no driver for runtime {runtime!r}")


def offered() -> dict[str, Engine]:
    """What this machine offers, by runtime. A runtime named in TOWLINE_RUNTIMES must answer; else what answers is taken."""
    named = settings.TOWLINE.TOWLINE_RUNTIMES
    if named:
        return {runtime: driver(runtime).probe() for runtime in named}
    try:
        return {"docker": driver("docker").probe()}
    except Unavailable as error:
        if not settings.TOWLINE.process_runtime_allowed:
            raise
        log.warning("no Docker engine answers, jobs run as plain processes of this machine: %s", error)
        return {"process": driver("process").probe()}


def as_json(engine: Engine) -> dict[str, Any]:
    return {
        "id": engine.id,
        "runtime": engine.runtime,
        "version": engine.version,
        "arch": engine.arch,
        "cpus": engine.cpus,
        "memory_bytes": engine.memory_bytes,
        "gpus": engine.gpus,
    }
