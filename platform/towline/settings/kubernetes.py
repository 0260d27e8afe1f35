"""What the environment may say about Kubernetes; part of `environment.Environment`."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode

from workers.drivers.kubernetes.options import Options

NAMESPACE = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"


def words(text: str) -> list[str]:
    """Comma separated."""
    return [part.strip() for part in text.split(",") if part.strip()]


class KubernetesEnvironment(BaseSettings):
    TOWLINE_KUBERNETES_CONTEXTS: Annotated[list[str], NoDecode] = Field(
        [],
        description="Contexts of the kubeconfig, comma separated, of which each is a cluster that this run worker gives jobs "
        "to. Unset: the cluster that the worker itself runs in, or else the kubeconfig's current one.",
    )
    TOWLINE_KUBERNETES_NAMESPACE: str = Field(
        "towline-jobs", pattern=f"^{NAMESPACE}$", description="The namespace that jobs' pods are made in."
    )
    TOWLINE_KUBERNETES_NAMESPACES: Annotated[dict[str, str], NoDecode] = Field(
        {}, description="Namespaces of single projects, `project=namespace,project=namespace`."
    )
    TOWLINE_KUBERNETES_RUN_AS: int | Literal["image"] = Field(
        65532,
        description="The user id of jobs that name no `user`; `image`: the image's own, which must not be root. A job that "
        "asks for root gets it where its namespace allows.",
    )
    TOWLINE_KUBERNETES_TOLERATIONS: Annotated[list[dict[str, Any]], NoDecode] = Field(
        [], description="Tolerations of all pods, a JSON list as Kubernetes has them."
    )
    TOWLINE_KUBERNETES_PRIORITY_CLASS: str | None = Field(None, description="The priority class of all pods.")
    TOWLINE_KUBERNETES_PULL_SECRETS: Annotated[list[str], NoDecode] = Field(
        [], description="Image pull secrets of all pods, comma separated; they lie in the jobs' namespace."
    )
    TOWLINE_KUBERNETES_PULL_POLICY: Literal["Always", "IfNotPresent", "Never"] = Field(
        "IfNotPresent", description="When nodes pull images."
    )
    TOWLINE_KUBERNETES_GPU_RESOURCE: str = Field("nvidia.com/gpu", description="The resource that a GPU is asked by.")
    TOWLINE_KUBERNETES_RUNTIME_CLASS: str | None = Field(None, description="The runtime class of all pods.")
    TOWLINE_KUBERNETES_SCRATCH_BYTES: int = Field(
        1024**3,
        ge=1024**2,
        description="The size of /tmp in a pod, in bytes; part of `resources.disk` where that is less.",
    )
    TOWLINE_KUBERNETES_SERVICE_URL: str = Field("", description="Where pods reach this platform, `http://…`.")

    @field_validator("TOWLINE_KUBERNETES_CONTEXTS", "TOWLINE_KUBERNETES_PULL_SECRETS", mode="before")
    @classmethod
    def _split_names(cls, value: object) -> object:
        return words(value) if isinstance(value, str) else value

    @field_validator("TOWLINE_KUBERNETES_TOLERATIONS", mode="before")
    @classmethod
    def _parse_tolerations(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except ValueError as error:
            raise ValueError(f"write it as a JSON list of tolerations: {error}") from error

    @field_validator("TOWLINE_KUBERNETES_NAMESPACES", mode="before")
    @classmethod
    def _split_namespaces(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        pairs = [part.partition("=") for part in words(value)]
        if wrong := [project for project, _, name in pairs if not project or not re.fullmatch(NAMESPACE, name)]:
            raise ValueError(f"write it as project=namespace,project=namespace: see {wrong[0]!r}")
        return {project: name for project, _, name in pairs}

    @field_validator("TOWLINE_KUBERNETES_RUN_AS", mode="before")
    @classmethod
    def _user(cls, value: object) -> object:
        if isinstance(value, str) and value.isdigit():
            value = int(value)
        if value == 0:
            raise ValueError("is not for root: a job that needs it asks with `user`")
        return value


def options_of(settings: KubernetesEnvironment) -> Options:
    """For the driver, which reads no settings."""
    return Options(
        namespace=settings.TOWLINE_KUBERNETES_NAMESPACE,
        namespaces=settings.TOWLINE_KUBERNETES_NAMESPACES,
        run_as=settings.TOWLINE_KUBERNETES_RUN_AS,
        tolerations=settings.TOWLINE_KUBERNETES_TOLERATIONS,
        priority_class=settings.TOWLINE_KUBERNETES_PRIORITY_CLASS,
        pull_secrets=settings.TOWLINE_KUBERNETES_PULL_SECRETS,
        pull_policy=settings.TOWLINE_KUBERNETES_PULL_POLICY,
        gpu_resource=settings.TOWLINE_KUBERNETES_GPU_RESOURCE,
        runtime_class=settings.TOWLINE_KUBERNETES_RUNTIME_CLASS,
        scratch_bytes=settings.TOWLINE_KUBERNETES_SCRATCH_BYTES,
        service_url=settings.TOWLINE_KUBERNETES_SERVICE_URL,
    )
