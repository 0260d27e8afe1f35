"""What a run worker must be allowed in a cluster, as data, and asking a cluster whether it is.

The plain manifest (`charts/rbac.yaml`) and the chart grant these rules and no others. How the driver does without the
optional ones is said at each.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


class Api(Protocol):
    """The part of `connection.Cluster` that is needed to ask."""

    def request(self, method: str, path: str, *, body: Any = None) -> Any: ...


@dataclass(frozen=True)
class Rule:
    """`resource` with its subresource, as in a Role. `of_cluster`: not in a namespace, so it takes a ClusterRole.

    `itself`: only the object that is named as the namespace is. `optional`: what is lost without it, "" where it must be.
    """

    group: str
    resource: str
    verbs: tuple[str, ...]
    why: str
    of_cluster: bool = False
    itself: bool = False
    optional: str = ""

    @property
    def name(self) -> str:
        return f"{self.resource}.{self.group}" if self.group else self.resource


RULES: tuple[Rule, ...] = (
    Rule(
        "",
        "pods",
        ("create", "get", "list", "watch", "delete", "patch"),
        "A job is a pod: made, followed, started and stopped by a patch, removed.",
    ),
    Rule("", "pods/log", ("get",), "The output of jobs."),
    Rule("", "secrets", ("create",), "Made, never read: a job's secrets go with its pod."),
    Rule("", "events", ("list",), "Why a pod has not begun, and what became of one that is gone."),
    Rule("", "namespaces", ("get",), "Its uid says which cluster this is.", itself=True),
    Rule(
        "metrics.k8s.io",
        "pods",
        ("list",),
        "What a job uses while it runs.",
        optional="no usage of running jobs is shown",
    ),
    Rule(
        "",
        "nodes",
        ("get", "list"),
        "How big the cluster is, and whether the node of a silent pod is well.",
        of_cluster=True,
        optional="neither the size of the cluster nor the state of a lost node is known",
    ),
)


@dataclass(frozen=True)
class Missing:
    """One verb that is not allowed. `namespace` is "" for what is the cluster's; `reason` the cluster's own, if it has one."""

    rule: Rule
    verb: str
    namespace: str
    reason: str = ""

    def __str__(self) -> str:
        where = f"in namespace {self.namespace}" if self.namespace else "in the cluster"
        return f"may not {self.verb} {self.rule.name} {where}"


def missing(cluster: Api, namespaces: Iterable[str]) -> list[Missing]:
    """Asks verb by verb; what is not missing is not in it. Raises what the cluster's `request` does."""
    return list(_missing(cluster, tuple(namespaces)))


def _missing(cluster: Api, namespaces: tuple[str, ...]) -> Iterator[Missing]:
    for rule in RULES:
        for namespace in ("",) if rule.of_cluster else namespaces:
            for verb in rule.verbs:
                status = _ask(cluster, attributes(rule, verb, namespace))
                if status.get("allowed") is not True:
                    reason = str(status.get("reason") or status.get("evaluationError") or "")
                    yield Missing(rule, verb, namespace, reason)


def attributes(rule: Rule, verb: str, namespace: str) -> dict[str, str]:
    """What a SelfSubjectAccessReview asks with."""
    resource, _, subresource = rule.resource.partition("/")
    asked = {
        "group": rule.group,
        "resource": resource,
        "subresource": subresource,
        "verb": verb,
        "namespace": namespace,
    }
    if rule.itself:
        asked["name"] = namespace
    return {key: value for key, value in asked.items() if value or key == "group"}


def _ask(cluster: Api, asked: Mapping[str, str]) -> Mapping[str, Any]:
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": asked},
    }
    answer = cluster.request("POST", REVIEWS, body=body)
    status = answer.get("status") if isinstance(answer, Mapping) else None
    return status if isinstance(status, Mapping) else {}
