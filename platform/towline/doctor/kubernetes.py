"""The clusters that jobs are given to: whether they answer, are new enough, and let us do what a run worker does."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from django.conf import settings

from workers.drivers.kubernetes.access import Api, Missing, missing
from workers.drivers.kubernetes.connection import ApiError, Cluster
from workers.drivers.kubernetes.options import Options
from workers.drivers.protocol import Unavailable

from .finding import Check, Finding, failed, fine, warn

NAME = "kubernetes"
LEAST = (1, 27)  # pods with a scheduling gate, without a feature gate
IDENTITY = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
POD_SECURITY = "pod-security.kubernetes.io/enforce"
REACH = "Look at KUBECONFIG and TOWLINE_KUBERNETES_CONTEXTS, and whether the API server is reached from here."
GRANT = "kubectl apply -f charts/rbac.yaml, or install the chart."


def clusters() -> list[Finding]:
    """Of every context that is set; one that does not answer is one finding."""
    environment = settings.TOWLINE
    if NAME not in (environment.TOWLINE_RUNTIMES or ()):
        return [fine(NAME, "not offered (TOWLINE_RUNTIMES)")]
    found: list[Finding] = []
    for context in environment.TOWLINE_KUBERNETES_CONTEXTS or [""]:
        found += examine_cluster(Cluster(context or None), context, environment.kubernetes_options)
    return found


def examine_cluster(cluster: Api, context: str, options: Options) -> list[Finding]:
    try:
        return [
            _named(finding, context)
            for finding in (
                judge_version(cluster.request("GET", "/version"), _identity(cluster)),
                *(_namespace(cluster, name, options) for name in options.all_namespaces),
                *judge_access(missing(cluster, options.all_namespaces)),
            )
        ]
    except (Unavailable, ApiError) as error:
        return [_named(failed(NAME, str(error)[:300], REACH), context)]


def _named(finding: Finding, context: str) -> Finding:
    detail = f"{context}: {finding.detail}" if context else finding.detail
    return Finding(NAME, finding.level, detail, finding.remedy)


def judge_version(version: Mapping[str, Any], identity: str) -> Finding:
    said = str(version.get("gitVersion") or "?")
    numbers = tuple(int(part) for part in re.findall(r"\d+", f"{version.get('major')}.{version.get('minor')}")[:2])
    if numbers < LEAST:
        least = ".".join(map(str, LEAST))
        return failed(
            NAME, f"{said} is older than {least}, which has scheduling gates", f"Use a cluster of {least} or newer."
        )
    return fine(NAME, f"{said}, asked as {identity}")


def _identity(cluster: Api) -> str:
    """Clusters before 1.28 do not tell."""
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    try:
        return str(cluster.request("POST", IDENTITY, body=body)["status"]["userInfo"]["username"])
    except (ApiError, KeyError, TypeError):
        return "somebody that it does not name"


def _namespace(cluster: Api, name: str, options: Options) -> Finding:
    """One that may not be read is judged by the rule that is missing then."""
    try:
        found = cluster.request("GET", f"/api/v1/namespaces/{name}")
    except (Unavailable, ApiError) as error:
        if getattr(error, "status", None) == 404:
            return failed(NAME, f"there is no namespace {name}", f"kubectl create namespace {name}, or {GRANT}")
        return failed(NAME, f"the namespace {name} can't be read: {error}"[:300], GRANT)
    labels = found.get("metadata", {}).get("labels") or {}
    return judge_namespace(name, str(labels.get(POD_SECURITY) or "privileged"), options.run_as)


def judge_namespace(name: str, level: str, run_as: int | str) -> Finding:
    """By its pod security level. Jobs ask for no more than `restricted` allows, unless one asks for root."""
    said = f"namespace {name}, pod security {level}"
    if level == "restricted" and run_as == "image":
        return warn(
            NAME,
            f"{said}: a job whose image runs as root, or as a user by name, can't begin there",
            "Set TOWLINE_KUBERNETES_RUN_AS to a user id, or let such jobs name their `user` by its number.",
        )
    if level == "privileged":
        return warn(
            NAME,
            f"{said}: a job that asks for root gets it",
            f"kubectl label namespace {name} {POD_SECURITY}=restricted, or baseline if jobs may be root.",
        )
    return fine(NAME, said)


def judge_access(found: Iterable[Missing]) -> list[Finding]:
    """A line for each verb that is missing; one that is optional is a warning."""
    lines = [_of_missing(each) for each in found]
    return lines or [fine(NAME, "all rights that run workers need, and the optional ones")]


def _of_missing(found: Missing) -> Finding:
    rule = found.rule
    remedy = f"Grant it: apiGroups [{rule.group!r}], resources [{rule.resource}], verbs [{found.verb}]; {GRANT}"
    said = f"{found} ({found.reason})" if found.reason else str(found)
    if rule.optional:
        return warn(NAME, f"{said}: {rule.optional}", remedy)
    return failed(NAME, f"{said}: {rule.why}", remedy)


CHECKS = (Check(NAME, clusters, REACH),)
