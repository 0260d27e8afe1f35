"""Kubernetes' own reasons for an end: of a pod's status, of its `DisruptionTarget` condition, of its events. Pure.

They count before any exit code: the program only obeyed, or was killed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple


class Cause(NamedTuple):
    code: str
    summary: str
    remedy: str


LOST = "The node or its kubelet is gone; see to the node. A retry on `platform` runs it again, on another node."
AGAIN = "A retry on `platform` runs it again."

NODE_LOST = Cause("node_lost", "The node that it ran on was lost.", LOST)
NODE_SHUTDOWN = Cause("node_lost", "The node was shut down, and ended the pod.", AGAIN)
RESTARTED = Cause("node_lost", "The node, or the container runtime on it, was restarted while it ran.", AGAIN)
ENDED_BY_NODE = Cause(
    "evicted_node",
    "The node ended the container, and does not say why.",
    AGAIN + " The kubelet's log on that node says more.",
)
DRAINED = Cause("evicted_node", "The pod was evicted from its node, as when a node is drained.", AGAIN)
TURNED_AWAY = Cause("evicted_node", "The node had no room for the pod after all, and turned it away.", AGAIN)
PREEMPTED = Cause(
    "preempted",
    "A pod of higher priority took its place.",
    "A retry on `platform` runs it again; a priority class of its own keeps it (TOWLINE_KUBERNETES_PRIORITY_CLASS).",
)
DEADLINE = Cause(
    "timeout_run",
    "The pod reached its deadline while nobody of Towline's was there to end it.",
    "Give it longer in timeouts.run, and see why no worker followed it.",
)
DENIED = Cause("policy_denied", "The node's policy forbids this pod.", "Ask for less, or let the node allow it.")
UNFIT = Cause("unschedulable", "The node cannot run this kind of pod.", "Ask for another `arch` or other `requires`.")

REJECTED = "Pod was rejected"  # by a kubelet, for whatever reason: newer ones have more of them

CAUSES: Mapping[str, Cause] = {
    # status.reason
    "DeadlineExceeded": DEADLINE,
    "NodeLost": NODE_LOST,
    "Terminated": NODE_SHUTDOWN,
    "NodeShutdown": NODE_SHUTDOWN,
    "Shutdown": NODE_SHUTDOWN,
    "Preempting": PREEMPTED,
    "UnexpectedAdmissionError": TURNED_AWAY,
    "TopologyAffinityError": TURNED_AWAY,
    "InsufficientResourceError": TURNED_AWAY,
    "NodeAffinity": TURNED_AWAY,
    "NodeName": TURNED_AWAY,
    "NodePorts": TURNED_AWAY,
    "TaintToleration": TURNED_AWAY,
    "SysctlForbidden": DENIED,
    "AppArmor": DENIED,
    "PodOSSelectorNodeLabelDoesNotMatch": UNFIT,
    "PodOSNotSupported": UNFIT,
    # the condition's
    "PreemptionByScheduler": PREEMPTED,
    "PreemptionByKubeScheduler": PREEMPTED,
    "DeletionByTaintManager": NODE_LOST,
    "DeletionByPodGC": NODE_LOST,
    "EvictionByEvictionAPI": DRAINED,
    # events'
    "Preempted": PREEMPTED,
    "TaintManagerEviction": NODE_LOST,
    "NodeNotReady": NODE_LOST,
}

OWN_LIMIT = r"exceeds the (total )?limit|exceeded its local ephemeral storage limit"
LIMIT = r"limit (?:of containers )?\"?(?P<limit>\d[\w.]*?)\"?(?:\. |$|\.$)"
# The volumes of ours that have a limit → where they are seen, and what to do.
OUR_VOLUMES: Mapping[str, tuple[str, str]] = {
    "tmp": (
        " in /tmp",
        "Let it write less there; TOWLINE_KUBERNETES_SCRATCH_BYTES is the limit, or `disk` where that is less.",
    ),
    "shm": (" in /dev/shm", "Ask for more `shm`."),
}
WRITE_LESS = "Ask for more `disk`, or let the program write less."


def cause_of(reason: str, message: str = "") -> Cause | None:
    """What a reason means; the message decides where one reason stands for several."""
    if reason == "Evicted":
        return evicted(message)
    if reason == "TaintManagerEviction" and message.startswith("Cancelling"):
        return None
    if reason == "TerminationByKubelet":
        return _by_kubelet(message)
    if reason.startswith("OutOf"):
        return TURNED_AWAY._replace(
            summary=f"The node had no {reason[5:] or 'room'} left for the pod, and turned it away."
        )
    return CAUSES.get(reason) or (TURNED_AWAY if message.startswith(REJECTED) else None)


def _by_kubelet(message: str) -> Cause:
    if "shutdown" in message.lower():
        return NODE_SHUTDOWN
    if "in order to admit critical pod" in message:
        return PREEMPTED
    return evicted(message) if re.search(f"low on resource|condition:|{OWN_LIMIT}", message) else DRAINED


def evicted(message: str) -> Cause:
    """Over a limit of its own, or because its node was short of something."""
    if re.search(OWN_LIMIT, message, re.IGNORECASE):
        return _over_its_limit(message)
    short = re.search(r"low on resource: ([\w.\-/\[\]]+\w)", message)
    pressed = re.search(r"condition: \[(\w+)Pressure", message)
    lacks = short[1].strip("[]") if short else pressed[1].lower() if pressed else "something"
    return Cause(
        "evicted_node",
        f"The node ran out of {lacks}, and {'turned the pod away' if message.startswith(REJECTED) else 'evicted the pod'}.",
        "A retry on `platform` runs it again. See to the node: what is asked for there is more than it has.",
    )


def _over_its_limit(message: str) -> Cause:
    volume = re.search(r"EmptyDir volume \"([^\"]+)\"", message)
    where, remedy = OUR_VOLUMES.get(volume[1] if volume else "", ("", WRITE_LESS))
    limit = re.search(LIMIT, message.strip())
    most = f"its limit of {limit['limit']}" if limit else "it had asked for"
    return Cause("evicted_storage", f"It used more disk{where} than {most}, and was evicted.", remedy)
