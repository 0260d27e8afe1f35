"""The restricted profile of Pod Security: what in a pod breaks it, in the words of the real one. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}


def violations(pod: dict[str, Any]) -> list[str]:
    return list(_all(pod["spec"]))


def _all(spec: dict[str, Any]) -> Iterator[str]:
    whole = spec.get("securityContext") or {}
    for container in spec["containers"]:
        yield from _of_container(container["name"], container.get("securityContext") or {})
        yield from _of_either(container["name"], container.get("securityContext") or {}, whole)
    for volume in spec.get("volumes") or ():
        for kind in set(volume) - VOLUMES - {"name"}:
            yield f'restricted volume types (volume "{volume["name"]}" uses restricted volume type "{kind}")'


def _of_container(name: str, own: dict[str, Any]) -> Iterator[str]:
    if own.get("privileged"):
        yield f'privileged (container "{name}" must not set securityContext.privileged=true)'
    if own.get("allowPrivilegeEscalation") is not False:
        yield (
            f'allowPrivilegeEscalation != false (container "{name}" must set '
            "securityContext.allowPrivilegeEscalation=false)"
        )
    if "ALL" not in ((own.get("capabilities") or {}).get("drop") or ()):
        yield f'unrestricted capabilities (container "{name}" must set securityContext.capabilities.drop=["ALL"])'


def _of_either(name: str, own: dict[str, Any], whole: dict[str, Any]) -> Iterator[str]:
    """What may be said for the container or for the whole pod."""
    if not (own.get("runAsNonRoot") or (whole.get("runAsNonRoot") and own.get("runAsNonRoot") is not False)):
        yield f'runAsNonRoot != true (pod or container "{name}" must set securityContext.runAsNonRoot=true)'
    if own.get("runAsUser", whole.get("runAsUser")) == 0:
        yield f'runAsUser=0 (container "{name}" must not set runAsUser=0)'
    profile = (own.get("seccompProfile") or whole.get("seccompProfile") or {}).get("type")
    if profile not in ("RuntimeDefault", "Localhost"):
        yield (
            f'seccompProfile (pod or container "{name}" must set securityContext.seccompProfile.type to '
            '"RuntimeDefault" or "Localhost")'
        )
