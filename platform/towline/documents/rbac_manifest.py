"""charts/rbac.yaml, from the rules that the Kubernetes driver needs: for installations without the chart."""

from __future__ import annotations

from workers.drivers.kubernetes.access import RULES, Rule
from workers.drivers.kubernetes.options import Options

PLATFORM = "towline"
ACCOUNT = "towline-run"
INTRODUCTION = """\
# What run workers may do in a cluster, and no more. Made by `manage.py document` from workers/drivers/kubernetes/access.py.
#
#   kubectl apply -f charts/rbac.yaml
#
# Workers in the cluster run as the service account; for one outside, `kubectl create token -n towline towline-run
# --duration 8760h` gives a token for its kubeconfig: without a duration it is one for an hour, and a cluster may bound it.
# Of each further namespace of jobs (TOWLINE_KUBERNETES_NAMESPACES), repeat the namespace, the role and its binding with its
# name. The cluster role is optional. The chart has all this in it."""


def rbac_manifest() -> str:
    jobs = Options().namespace
    account = f"subjects:\n  - {{kind: ServiceAccount, name: {ACCOUNT}, namespace: {PLATFORM}}}"
    return "\n---\n".join(
        (
            INTRODUCTION,
            _object("v1", "Namespace", PLATFORM),
            # The default of jobs is restricted: none of them is root.
            _object("v1", "Namespace", jobs, "  labels: {pod-security.kubernetes.io/enforce: restricted}"),
            _object("v1", "ServiceAccount", ACCOUNT, f"  namespace: {PLATFORM}"),
            _rbac("Role", [rule for rule in RULES if not rule.of_cluster], jobs),
            f"{_bound('RoleBinding', 'Role', jobs)}\n{account}",
            _rbac("ClusterRole", [rule for rule in RULES if rule.of_cluster], ""),
            f"{_bound('ClusterRoleBinding', 'ClusterRole', '')}\n{account}\n",
        )
    )


def _object(version: str, kind: str, name: str, more: str = "") -> str:
    head = f"apiVersion: {version}\nkind: {kind}\nmetadata:\n  name: {name}"
    return f"{head}\n{more}" if more else head


def _rbac(kind: str, rules: list[Rule], namespace: str) -> str:
    where = f"  namespace: {namespace}" if namespace else ""
    head = _object("rbac.authorization.k8s.io/v1", kind, ACCOUNT, where)
    return "\n".join((head, "rules:", *(_rule(rule, namespace) for rule in rules)))


def _rule(rule: Rule, namespace: str) -> str:
    without = [f"  # Optional: without it, {rule.optional}."] if rule.optional else []
    only = [f"    resourceNames: [{namespace}]"] if rule.itself else []
    lines = [
        f"  # {rule.why}",
        *without,
        f'  - apiGroups: ["{rule.group}"]',
        f"    resources: [{rule.resource}]",
        *only,
        f"    verbs: [{', '.join(rule.verbs)}]",
    ]
    return "\n".join(lines)


def _bound(kind: str, role: str, namespace: str) -> str:
    where = f"  namespace: {namespace}" if namespace else ""
    head = _object("rbac.authorization.k8s.io/v1", kind, ACCOUNT, where)
    return f"{head}\nroleRef: {{apiGroup: rbac.authorization.k8s.io, kind: {role}, name: {ACCOUNT}}}"
