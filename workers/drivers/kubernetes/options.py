"""What an operator decides about pods, the same for all jobs of a cluster. Pure data, made from settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Options:
    """`namespace` holds the jobs of all projects that `namespaces` (by project) does not name.

    `run_as`: the user id of jobs that ask for none; "image" leaves it to the image, which must not be root then.
    `tolerations` as Kubernetes has them. `service_url` is where pods reach the platform.
    """

    namespace: str = "towline-jobs"
    namespaces: Mapping[str, str] = field(default_factory=dict)
    run_as: int | str = 65532
    tolerations: Sequence[Mapping[str, Any]] = ()
    priority_class: str | None = None
    pull_secrets: Sequence[str] = ()
    pull_policy: str = "IfNotPresent"
    gpu_resource: str = "nvidia.com/gpu"
    runtime_class: str | None = None
    scratch_bytes: int = 1024**3
    service_url: str = ""

    def namespace_of(self, project: str) -> str:
        return self.namespaces.get(project, self.namespace)

    @property
    def all_namespaces(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((self.namespace, *self.namespaces.values())))
