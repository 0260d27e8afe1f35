"""Why no node takes a pod: the scheduler's sentence, dimension by dimension. Pure.

The sentence counts nodes by what speaks against them, `0/3 nodes are available: 1 Insufficient cpu, 2 node(s) were
unschedulable. preemption: …`. What follows about preemption says one thing more: where it would help on no node, nodes that
are short of something have too little of it even when they are empty (from 1.31 on; older ones never say so of them).
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
HELPS_NOWHERE = re.compile(r"preemption: 0/(\d+) nodes are available: \1 Preemption is not helpful")
REASON = re.compile(r"(?P<count>\d+) (?P<what>.+)", re.S)

ROOM = ("Ask for less, or wait until other pods end.", "Wait until other pods end, or add nodes.")
TOO_SMALL = "Ask for less, or add larger nodes."
PASSING = ("See to the nodes.", "Uncordon a node, or add one.")
# What is said of nodes → the dimension, how we say it, and the remedy. {of} is "1 of 3"; {a}, {b} are the pattern's groups.
DIMENSIONS: tuple[tuple[str, str, str, str], ...] = (
    (r"Insufficient (?P<a>\S+)", "{a}", "short on {of}", ROOM[0]),
    (r"Too many pods", "pods", "{of} hold as many as they may", ROOM[1]),
    (
        r"didn't match .*node (affinity|selector)|didn't match node selector",
        "selector",
        "{of} do not match",
        "Check `arch`, `region` and `requires` against the labels of the nodes.",
    ),
    (
        r"taint(?:\(s\))? \{node\.kubernetes\.io/unschedulable:",
        "node",
        "{of} are cordoned",
        "Uncordon a node, or add one.",
    ),
    (
        # The cluster's own, about a node that is not well: to tolerate them would help nobody.
        r"taint(?:\(s\))? \{(?P<a>node\.kubernetes\.io/[^:}]*|node\.[^:}/]*/(uninitialized|agent-not-ready))",
        "taint",
        "{of} have {a}: they are unwell, or not ready yet",
        "See to the nodes.",
    ),
    (
        r"taint(?:\(s\))? \{(?P<a>[^:}]*): ?(?P<b>[^}]*)\}",
        "taint",
        "{of} have {a}={b}, which it does not tolerate",
        "Tolerate the taint in TOWLINE_KUBERNETES_TOLERATIONS, or take it off the nodes.",
    ),
    (
        r"taint",  # newer schedulers do not say which
        "taint",
        "{of} have one that it does not tolerate",
        "See which with `kubectl describe nodes`, and tolerate it in TOWLINE_KUBERNETES_TOLERATIONS, or see to nodes that "
        "are unwell.",
    ),
    (r"were unschedulable|unschedulable$", "node", "{of} are cordoned", "Uncordon a node, or add one."),
    (r"volume node affinity|volume.*zone", "volume", "{of} do not reach it", "Use a volume that more nodes reach."),
    (r"max volume count", "volume", "{of} hold as many as they may", ROOM[1]),
    (r"free ports", "port", "in use on {of}", "Wait until the pod that holds it ends."),
    (r"(memory|disk|pid|network).*(pressure|unavailable)|not ready", "node", "{of} are unwell", "See to the nodes."),
    (
        r"anti-?affinity|pod affinity|topology spread",
        "affinity",
        "{of} are ruled out by other pods",
        "Wait, or add nodes.",
    ),
)


def unschedulable(message: str, pod: Mapping[str, Any]) -> Holdup:
    """From the message of `PodScheduled` or of an event `FailedScheduling`."""
    found = list(_dimensions(message, pod))
    detail = "No node can take it: " + "; ".join(words for words, _ in found) + "."
    # Of many nodes some may be ruled out for good: it is enough that one of the others is only full.
    for_room = any(remedy in ROOM for _, remedy in found)
    # Nodes that are to come back may be the ones with room.
    if for_room and HELPS_NOWHERE.search(message) and not any(remedy in PASSING for _, remedy in found):
        for_room = False
        detail += " Even empty, the nodes that are short have too little."
        found = [(words, TOO_SMALL if remedy in ROOM else remedy) for words, remedy in found]
    if not found:
        detail = _unparsed(message)
    if place := text(part(pod, "status"), "nominatedNodeName"):
        detail += f" Room is being made on {place}."
    remedy = " ".join(dict.fromkeys(remedy for _, remedy in found)) or "See what the scheduler says of the pod."
    verdict = Verdict("unschedulable", detail, (message[:1000],), remedy)
    return Holdup("unschedulable", detail, verdict, for_room=for_room)


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
    for pattern, name, words, remedy in DIMENSIONS:
        if found := re.search(pattern, what, re.IGNORECASE):
            groups = {key: value or "" for key, value in found.groupdict().items()}
            dimension = name.format(**groups)
            said = words.format(of=of, **groups).replace("=,", ",")
            return f"{dimension}: {said}{_asked(dimension, pod)}", remedy
    return f"{of}: {what.removeprefix('node(s) ')}", "See what the scheduler says of the pod."


def _asked(dimension: str, pod: Mapping[str, Any]) -> str:
    """What the pod asks for in this dimension, in brackets."""
    if dimension == "selector":
        wanted = ", ".join(_wanted(pod))
        return f" ({wanted})" if wanted else ""
    resources = part(named(parts(part(pod, "spec"), "containers"), JOB), "resources")
    amount = part(resources, "requests").get(dimension) or part(resources, "limits").get(dimension) or ""
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
    told = TAIL.sub("", HEAD.sub("", message)).strip(" .")[:300]
    if "no nodes available" in message or (HEAD.match(message) and not told):
        return "No node can take it: the cluster has none that is ready."
    return f"The scheduler has no place for it: {told or 'it does not say why'}."
