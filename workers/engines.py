"""The engines this process reaches: drivers made from settings, probed once when a worker starts.

An engine has a name here: its runtime's, and behind a colon the context where a worker reaches several clusters.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from types import MappingProxyType
from typing import Any

from django.conf import settings

from jobs.models import Attempt

from .drivers.protocol import Driver, Engine, Unavailable

log = logging.getLogger(__name__)
NONE: Mapping[str, Engine] = MappingProxyType({})
_names: dict[str, str] = {}  # of engines by id, as far as they were seen


@cache
def driver(name: str) -> Driver:
    """The driver of an engine. Imported only when wanted: an SDK costs start-up time."""
    runtime, _, context = name.partition(":")
    if runtime == "docker":
        from .drivers.docker.driver import DockerDriver

        return DockerDriver(
            base_url=settings.TOWLINE.TOWLINE_DOCKER_URL or os.environ.get("DOCKER_HOST"),
            lock_dir=settings.TOWLINE.TOWLINE_DATA_DIR / "locks",
        )
    if runtime == "kubernetes":
        from .drivers.kubernetes.driver import KubernetesDriver

        return KubernetesDriver(context=context or None, options=settings.TOWLINE.kubernetes_options)
    if runtime == "process":
        from .drivers.process.driver import ProcessDriver

        return ProcessDriver(root=settings.TOWLINE.TOWLINE_DATA_DIR / "processes")
    raise ValueError(f"no driver for runtime {runtime!r}")


def names_of(runtime: str) -> list[str]:
    """Of all engines of a runtime that this process is set to reach."""
    contexts = settings.TOWLINE.TOWLINE_KUBERNETES_CONTEXTS if runtime == "kubernetes" else []
    return [f"{runtime}:{context}" for context in contexts] or [runtime]


def driver_of(attempt: Attempt) -> Driver:
    """The driver of the engine that an attempt is on. Raises `Unavailable` when none of ours is known to be it."""
    names = names_of(attempt.runtime)
    if len(names) == 1:
        return driver(names[0])
    for name in names:
        if attempt.engine not in _names:
            _names[driver(name).probe().id] = name
    if attempt.engine not in _names:
        raise Unavailable(f"none of the clusters {', '.join(names)} is {attempt.engine}")
    return driver(_names[attempt.engine])


def offered(known: Mapping[str, Engine] = NONE) -> dict[str, Engine]:
    """What this machine offers, by name. A runtime named in TOWLINE_RUNTIMES must answer; else what answers is taken.

    `known` are engines as this worker knew them when it ran before: one of them that is away just now is taken for
    there, as its containers are, and want to be looked after when it is back.
    """
    named = settings.TOWLINE.TOWLINE_RUNTIMES
    if named:
        return {name: _probe(name, known) for runtime in named for name in names_of(runtime)}
    try:
        return {"docker": _probe("docker", known)}
    except Unavailable as error:
        if not settings.TOWLINE.process_runtime_allowed:
            raise
        log.warning("no Docker engine answers, jobs run as plain processes of this machine: %s", error)
        return {"process": driver("process").probe()}


def _probe(name: str, known: Mapping[str, Engine]) -> Engine:
    try:
        engine = driver(name).probe()
    except Unavailable as error:
        if name not in known:
            raise
        log.warning("%s does not answer, and is taken for what it was: %s", name, error)
        engine = known[name]
    _names[engine.id] = name
    return engine


def as_json(name: str, engine: Engine) -> dict[str, Any]:
    return {
        "name": name,
        "id": engine.id,
        "runtime": engine.runtime,
        "version": engine.version,
        "arch": engine.arch,
        "cpus": engine.cpus,
        "memory_bytes": engine.memory_bytes,
        "gpus": engine.gpus,
        "elastic": engine.elastic,
    }


def from_json(data: Mapping[str, Any]) -> Engine:
    """What else is said of it there, as `strays`, is no part of it."""
    return Engine(**{field.name: data[field.name] for field in fields(Engine) if field.name in data})
