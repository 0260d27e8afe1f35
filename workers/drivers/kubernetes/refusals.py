"""What the API server does not take: quota, policy, or a spec that cannot be. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from jobs.verdicts import Verdict
from workers.drivers.kubernetes.quantity import quantity
from workers.drivers.protocol import ContainerSpec, Holdup

QUOTA = re.compile(
    r"exceeded quota: (?P<name>[^,]+), requested: (?P<asked>.*?), used: (?P<used>.*?), limited: (?P<limit>.*)"
)
# Nothing is wrong with the pod: whoever may do so mends it, and it is asked for again.
PASSING = re.compile(
    r"cannot (create|patch|get|list) resource|being terminated|serviceaccount \"[^\"]*\" not found|namespaces? \"[^\"]*\" not found"
    r"|failed calling webhook|no api token|not yet ready to handle request",
    re.IGNORECASE,
)
POLICY = re.compile(
    r"violates PodSecurity|admission webhook .* denied|denied the request|ValidatingAdmissionPolicy|denied request|failed quota"
    r"|image policy webhook|SecurityContextConstraint|unable to validate against any security|node label selector conflicts"
    r"|conflicts? with its namespace|PodSecurityPolicy",
    re.IGNORECASE,
)
DENIED = "denied the request"  # a webhook's no, which may have any status
LIMIT_RANGE = re.compile(
    r"(?P<bound>maximum|minimum) (?P<resource>\S+) usage per (?P<per>\w+) is (?P<limit>\d+(\.\d+)?\w*)"
    r"|(?P<ratio>\S+) max limit to request ratio per (?P<per2>\w+) is",
)
# Where in a pod → which field of a job it is made from.
FIELDS: tuple[tuple[str, str], ...] = (
    (r"resources|cpu|memory|ephemeral-storage", "resources"),
    (r"workingDir", "working_dir"),
    (r"runAsUser|runAsGroup|securityContext", "user"),
    (r"nodeSelector|affinity", "arch, region or requires"),
    (r"\.image\b", "image"),
    (r"\.env\b", "env"),
    (r"labels", "labels"),
    (r"volume|mountPath", "inputs and outputs"),
    (r"activeDeadlineSeconds|terminationGrace", "timeouts"),
)


def refusal(status: int, message: str, spec: ContainerSpec) -> Verdict | Holdup | None:
    """What a create that failed with this HTTP status and message means for the job; None when only trying again helps."""
    if found := QUOTA.search(message):
        return _over_quota(found, message)
    if "status unknown for quota" in message:
        return _held(message, "The namespace's quota is being counted.")
    if PASSING.search(message) or not (status in (400, 403, 413, 422) or (status < 500 and DENIED in message)):
        return None
    if limits := list(LIMIT_RANGE.finditer(message)):
        return _out_of_range(limits, message)
    return _missing_class(message) or _denied(status, message, spec)


def _over_quota(found: re.Match[str], message: str) -> Holdup:
    asked, used, limit = (_amounts(found[key]) for key in ("asked", "used", "limit"))
    numbers = "; ".join(
        f"{name}: {used.get(name, '?')} of {limit.get(name, '?')} used, {amount} asked for"
        for name, amount in asked.items()
    )
    hopeless = any(_more(amount, limit.get(name, "")) for name, amount in asked.items())
    return _held(message, f"The quota {found['name']} of its namespace is used up: {numbers}.", hopeless=hopeless)


def _held(message: str, detail: str, *, hopeless: bool = False) -> Holdup:
    remedy = (
        "Ask for less, or let the quota be raised." if hopeless else "Wait until other jobs end, or let it be raised."
    )
    verdict = Verdict("unschedulable", detail, (message[:1000],), remedy)
    return Holdup("quota", detail, verdict, hopeless, for_room=not hopeless)


def _amounts(told: str) -> Mapping[str, str]:
    pairs = (part.partition("=") for part in told.split(","))
    return {name.strip(): amount.strip() for name, _, amount in pairs if name.strip()}


def _more(amount: str, limit: str) -> bool:
    """Whether this alone is over the limit; unknown is no."""
    a, b = quantity(amount), quantity(limit)
    return a is not None and b is not None and a > b


def _out_of_range(found: list[re.Match[str]], message: str) -> Verdict:
    bounds = [each for each in found if each["bound"]]
    if not bounds:
        summary = f"The namespace does not allow this ratio of limit to request of {found[0]['ratio']}."
        return Verdict(
            "invalid_spec", summary, (message[:1000],), "Let the namespace's limit range allow a ratio of 1."
        )
    most = {"maximum": ("at most", "less"), "minimum": ("at least", "more")}
    allowed = ", ".join(f"{most[b['bound']][0]} {b['limit']} of {b['resource']}" for b in bounds)
    wanted = " and ".join(f"{most[b['bound']][1]} {b['resource']}" for b in bounds)
    summary = f"The namespace allows a {bounds[0]['per'].lower()} {allowed}."
    return Verdict("invalid_spec", summary, (message[:1000],), f"Ask for {wanted} in `resources`.")


def _missing_class(message: str) -> Verdict | None:
    if found := re.search(r"no PriorityClass with name (\S+) was found", message):
        remedy = "Make it, or correct TOWLINE_KUBERNETES_PRIORITY_CLASS."
        return Verdict("invalid_spec", f"The cluster has no priority class {found[1]}.", (message[:1000],), remedy)
    if found := re.search(r"RuntimeClass \"?([^\"\s]+)\"? not found", message, re.IGNORECASE):
        remedy = "Make it, or correct TOWLINE_KUBERNETES_RUNTIME_CLASS."
        return Verdict("invalid_spec", f"The cluster has no runtime class {found[1]}.", (message[:1000],), remedy)
    return None


def _denied(status: int, message: str, spec: ContainerSpec) -> Verdict | None:
    if POLICY.search(message):
        return _policy(message, spec)
    if status == 403:
        # Of one pod, by its name: an admission plugin. Without a name it is a missing right, which the operator mends.
        return _policy(message, spec) if re.search(r"\"[^\"]+\" is forbidden:", message) else None
    return _invalid(message)


def _policy(message: str, spec: ContainerSpec) -> Verdict:
    remedy = "Whoever runs the cluster set this policy; its words say what to leave out."
    if found := re.search(r"failed quota: (\S+): must specify (.*)", message):
        remedy = (
            f"The quota {found[1]} wants amounts that Towline does not give: {found[2]}. A LimitRange can add them."
        )
    if spec.user in ("0", "root") and "runAs" in message:
        remedy = "This namespace runs nobody as root: give the job another `user`."
    return Verdict("policy_denied", "A policy of the cluster forbids this pod.", (message[:1000],), remedy)


def _invalid(message: str) -> Verdict:
    where = re.search(r"is invalid: \[?([^:]+):", message)
    path = where[1] if where else ""
    field = next((name for pattern, name in FIELDS if re.search(pattern, path)), "")
    summary = (
        f"The cluster does not take the pod: {path} is not valid." if path else "The cluster does not take the pod."
    )
    remedy = f"Correct the job's {field}." if field else "Correct the job's spec."
    return Verdict("invalid_spec", summary, (message[:1000],), remedy)
