"""Why no node takes a pod: the scheduler's sentence, dimension by dimension. Pure.

The sentence counts nodes by what speaks against them, `0/3 nodes are available: 1 Insufficient cpu, 2 node(s) were
unschedulable. preemption: …`; what follows about preemption says nothing more.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from jobs.verdicts import Verdict
from workers.drivers.kubernetes.reading import JOB, named, part, parts, text
from workers.drivers.protocol import Holdup

HEAD = re.compile(r"^\s*0/(?P<nodes>\d+) nodes are available:?\s*")
TAIL = re.compile(
    r"[.,;]?\s*(preemption:|no new claims to deallocate|still not schedulable|not eligible for preemption).*$", re.S
)
REASON = re.compile(r"(?P<count>\d+) (?P<what>.+)", re.S)

# What is said of nodes → how we say it. {of} is "1 of 3"; groups of the pattern are {0}, {1}.
DIMENSIONS: tuple[tuple[str, str, str], ...] = (
    (r"Insufficient (?P<a>\S+)", "{a} is short on {of}", "Ask for less, or wait until other pods end."),
    (r"Too many pods", "{of} hold as many pods as they may", "Wait until other pods end, or add nodes."),
    (
        r"didn't match .*node (affinity|selector)|didn't match node selector",
        "{of} are not of the kind asked for",
        "Check `arch`, `region` and `requires` against the labels of the nodes.",
    ),
    (
        r"taint(?:\(s\))? \{(?P<a>[^:}]*): ?(?P<b>[^}]*)\}",
        "{of} have the untolerated taint {a}={b}",
        "Tolerate the taint in TOWLINE_KUBERNETES_TOLERATIONS, or take it off the nodes.",
    ),
    (r"taint", "{of} have a taint that it does not tolerate", "Tolerate it in TOWLINE_KUBERNETES_TOLERATIONS."),
    (r"were unschedulable|unschedulable$", "{of} are cordoned", "Uncordon a node, or add one."),
    (r"volume node affinity|volume.*zone", "{of} do not reach its volume", "Use a volume that more nodes reach."),
    (r"free ports", "{of} have the port in use", "Wait until the pod that holds it ends."),
    (r"(memory|disk|pid|network).*(pressure|unavailable)|not ready", "{of} are unwell", "See to the nodes."),
    (r"anti-?affinity|topology spread", "{of} are ruled out by the placement of other pods", "Wait, or add nodes."),
)


def unschedulable(message: str, pod: Mapping[str, Any]) -> Holdup:
    """From the message of `PodScheduled` or of an event `FailedScheduling`."""
    found = list(_dimensions(message, pod))
    detail = "No node can take it: " + "; ".join(words for words, _ in found) + "."
    if not found:
        detail = _unparsed(message)
    if place := text(part(pod, "status"), "nominatedNodeName"):
        detail += f" Room is being made on {place}."
    remedy = " ".join(dict.fromkeys(remedy for _, remedy in found)) or "See what the scheduler says of the pod."
    return Holdup("unschedulable", detail, Verdict("unschedulable", detail, (message[:1000],), remedy))


def _dimensions(message: str, pod: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    head = HEAD.match(message)
    if head is None:
        return
    told = TAIL.sub("", message[head.end() :]).strip(" .")
    # A taint of older clusters has a comma of its own, so a new reason is one that begins with a count.
    for reason in re.split(r",\s+(?=\d)", told):
        if found := REASON.fullmatch(reason.strip(" .")):
            yield _dimension(int(found["count"]), int(head["nodes"]), found["what"], pod)


def _dimension(count: int, nodes: int, what: str, pod: Mapping[str, Any]) -> tuple[str, str]:
    of = f"{count} of {nodes}"
    for pattern, words, remedy in DIMENSIONS:
        if found := re.search(pattern, what, re.IGNORECASE):
            words = words.format(of=of, **{key: value or "" for key, value in found.groupdict().items()})
            return words.removesuffix("=") + _asked(found.groupdict().get("a"), words, pod), remedy
    return f"{of}: {what.removeprefix('node(s) ')}", "See what the scheduler says of the pod."


def _asked(resource: str | None, words: str, pod: Mapping[str, Any]) -> str:
    """What the pod asks for in this dimension, in brackets."""
    if "kind asked for" in words:
        wanted = ", ".join(_wanted(pod))
        return f" ({wanted})" if wanted else ""
    resources = part(named(parts(part(pod, "spec"), "containers"), JOB), "resources")
    amount = part(resources, "requests").get(resource or "") or part(resources, "limits").get(resource or "")
    return f" (asked {amount})" if amount else ""


def _wanted(pod: Mapping[str, Any]) -> Iterator[str]:
    spec = part(pod, "spec")
    for key, value in part(spec, "nodeSelector").items():
        yield f"{key}={value}"
    required = part(spec, "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution")
    for term in parts(required, "nodeSelectorTerms"):
        for rule in parts(term, "matchExpressions"):
            values = rule.get("values")
            listed = "|".join(map(str, values)) if isinstance(values, list) else ""
            yield " ".join(filter(None, (text(rule, "key"), text(rule, "operator"), listed)))


def _unparsed(message: str) -> str:
    if "no nodes available" in message or HEAD.match(message):
        return "No node can take it: the cluster has none that is ready."
    return f"The scheduler has no place for it: {TAIL.sub('', message).strip(' .')[:300]}."
