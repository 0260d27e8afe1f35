"""What the API server says of itself to clients that ask first, as kubectl does: its groups, and the resources of each."""

from __future__ import annotations

from .resources import KINDS
from .store import Object

VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
WITHOUT_NAMESPACE = {"nodes", "namespaces", "priorityclasses", "selfsubjectaccessreviews"}


def discover(path: str) -> Object | None:
    """The answer to `/api`, `/apis`, `/api/v1` or `/apis/<group>/<version>`; None when it is no such question."""
    if path == "/api":
        return {"kind": "APIVersions", "versions": ["v1"]}
    if path == "/apis":
        groups = sorted({(group, version) for group, version, _ in KINDS.values() if group})
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(*each) for each in groups]}
    asked = path.removeprefix("/apis/").removeprefix("/api/")
    resources = [
        _resource(name, kind) for name, (group, version, kind) in KINDS.items() if asked == _joined(group, version)
    ]
    if not resources:
        return None
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": asked, "resources": resources}


def _joined(group: str, version: str) -> str:
    return f"{group}/{version}" if group else version


def _group(group: str, version: str) -> Object:
    offered = {"groupVersion": _joined(group, version), "version": version}
    return {"name": group, "versions": [offered], "preferredVersion": offered}


def _resource(name: str, kind: str) -> Object:
    scoped = name not in WITHOUT_NAMESPACE
    return {"name": name, "singularName": kind.lower(), "namespaced": scoped, "kind": kind, "verbs": list(VERBS)}
