"""What a driver would ask its runtime for a job, as documents: the same builders that a run uses, with ids that are nobody's."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.conf import settings

from jobs.models import installation_key
from jobs.preview import Documents, NoPreview
from jobs.spec import JobSpec

from .container import container_spec
from .drivers.protocol import ContainerSpec, Refused
from .placement import RUNTIME_PREFERENCE
from .volumes import mounts_of

NOBODY = UUID(int=0)
MASK = "***"


def preview(spec: JobSpec) -> Documents:
    """For the runtime it asks for, or else the one that this installation prefers."""
    runtime = spec.runtime or _preferred()
    try:
        if runtime == "kubernetes":
            return _of_a_cluster(_container(spec))
        if runtime == "docker":
            return [_of_docker(_container(spec))]
    except Refused as refused:
        verdict = refused.verdict
        raise NoPreview(f"{verdict.code}: {verdict.summary} {verdict.remedy}") from refused
    raise NoPreview(f"the {runtime} runtime is asked for nothing that could be shown: choose docker or kubernetes")


def _preferred() -> str:
    offered = settings.TOWLINE.TOWLINE_RUNTIMES or ("docker",)
    return next(runtime for runtime in RUNTIME_PREFERENCE if runtime in offered)


def _container(spec: JobSpec) -> ContainerSpec:
    environment = settings.TOWLINE
    return container_spec(
        spec,
        installation_key(),
        NOBODY,
        1,
        spec.image,
        () if spec.runtime == "kubernetes" else mounts_of(spec.volumes, environment.TOWLINE_VOLUMES),
        {secret.env: MASK for secret in spec.secrets},
        environment.TOWLINE_LABELS,
        environment.TOWLINE_REGION,
    )


def _of_a_cluster(container: ContainerSpec) -> Documents:
    from .drivers.kubernetes.manifest import preview as manifests

    return manifests(container, settings.TOWLINE.kubernetes_options)


def _of_docker(container: ContainerSpec) -> dict[str, Any]:
    """The body of the engine's create request, and its name, which goes beside it."""
    from .drivers.docker.driver import LOG_BYTES
    from .drivers.docker.request import create_body

    return {"Name": container.name, **create_body(container, LOG_BYTES)}
