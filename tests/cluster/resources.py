"""Which resources there are, and what a request's path and verb ask of them."""

from __future__ import annotations

from dataclasses import dataclass

from .problems import Problem

KINDS = {
    "pods": ("", "v1", "Pod"), "secrets": ("", "v1", "Secret"), "configmaps": ("", "v1", "ConfigMap"),
    "events": ("", "v1", "Event"), "nodes": ("", "v1", "Node"), "namespaces": ("", "v1", "Namespace"),
    "resourcequotas": ("", "v1", "ResourceQuota"), "limitranges": ("", "v1", "LimitRange"),
    "serviceaccounts": ("", "v1", "ServiceAccount"),
    "priorityclasses": ("scheduling.k8s.io", "v1", "PriorityClass"),
    "selfsubjectaccessreviews": ("authorization.k8s.io", "v1", "SelfSubjectAccessReview"),
}  # fmt: skip


@dataclass(frozen=True)
class Asked:
    verb: str
    resource: str
    namespace: str
    name: str
    subresource: str

    @property
    def kind(self) -> str:
        return KINDS[self.resource][2]

    @property
    def api_version(self) -> str:
        group, version, _ = KINDS[self.resource]
        return f"{group}/{version}" if group else version


METRICS = "/apis/metrics.k8s.io/v1beta1/namespaces/"


def parse(method: str, path: str, *, watching: bool) -> Asked:
    parts = path.strip("/").split("/")
    group = "" if parts[0] == "api" else parts[1] if len(parts) > 1 else ""
    rest = parts[2:] if parts[0] == "api" else parts[3:]
    namespace = ""
    if rest[:1] == ["namespaces"] and len(rest) > 2 and rest[2] not in ("status", "finalize"):
        namespace, rest = rest[1], rest[2:]
    resource, name, subresource = (*rest, "", "", "")[:3]
    if parts[0] not in ("api", "apis") or KINDS.get(resource, (None,))[0] != group:
        raise Problem(404, "the server could not find the requested resource", "NotFound")
    return Asked(_verb(method, name, watching=watching), resource, namespace, name, subresource)


def _verb(method: str, name: str, *, watching: bool) -> str:
    if method == "GET":
        return "watch" if watching else "get" if name else "list"
    verbs = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete" if name else "deletecollection"}
    if method not in verbs:
        raise Problem(405, "the server does not allow this method on the requested resource")
    return verbs[method]
