"""Why a pod ended, or is gone: verdicts from what the cluster said. Pure.

Whoever ended the pod from outside comes before the exit code: a program that obeys when it is told to end often exits with 0,
and has not done its work. So exit code 0 is a success only of a program that ended by itself. Why a pod has not begun is said
in `holdup`.
"""

from __future__ import annotations

from collections.abc import Iterator

from jobs.verdicts import Verdict
from workers.drivers.exit_codes import SIGKILLED, remedy_of, signal_of
from workers.drivers.kubernetes.postmortem import (
    SENT_BY_KUBELET,
    Ending,
    command,
    deletion_asked_at,
    facts,
    memory_limit,
    read_ending,
    user,
    working_dir,
)
from workers.drivers.kubernetes.reading import condition, part, text
from workers.drivers.kubernetes.reasons import DEADLINE, ENDED_BY_NODE, NODE_LOST, RESTARTED, Cause, cause_of
from workers.drivers.kubernetes.words import SUMMARIES, fatal_exec, reason_of, told_by_code
from workers.drivers.protocol import Observation, Phase

EXEC_FAILED = {1, 126, 127, 128, 255}
# What `terminated.reason` says of a container that never began; each runtime has its own.
NOT_STARTED = {
    "StartError",
    "RunContainerError",
    "ContainerCannotRun",
    "CreateContainerError",
    "CreateContainerConfigError",
    "PreStartHookError",
    "PostStartHookError",
}

MORE_MEMORY = "Ask for more `memory`, or make the program use less."
# What stands in place of an end that nobody saw; the exit code beside it is made up.
LOST_TRACK = {
    "ContainerStatusUnknown": (NODE_LOST, "the kubelet could not find out how the container ended"),
    "Unknown": (RESTARTED, "containerd found the container's process gone when it was started again"),
}


def judge(seen: Observation) -> Verdict | None:
    """Why an exited pod ended, or one is gone; None for a plain success."""
    if seen.phase not in (Phase.EXITED, Phase.GONE):
        raise ValueError(f"the container has not ended: {seen.phase}")
    end = read_ending(seen)
    outside = _by_status(end) or _oom_killed(end) or _by_condition(end) or _by_events(end)
    if outside is not None:
        return outside
    if seen.phase is Phase.GONE:
        return _gone(end, seen)
    return _ended(end)


def _ended(end: Ending) -> Verdict | None:
    if end.was_deleted:
        return _deleted(end)
    if (lost := LOST_TRACK.get(text(end.ended, "reason"))) is not None:
        return _caused(*lost, end)
    if error := _start_error(end):
        return _not_started(end, error)
    if end.exit_code is None:
        return _unexplained(end)
    if end.was_told and end.exit_code in SENT_BY_KUBELET and not end.was_asked:
        return _caused(ENDED_BY_NODE, "; ".join(_events_of(end, "Killing", "SandboxChanged")), end)
    if end.exit_code == 0 and not end.is_init:
        return None
    return _oom_child(end) or _by_exit_code(end)


def _gone(end: Ending, seen: Observation) -> Verdict:
    """What was seen of it last may tell how it ended. A success is none here: nobody can read its output any more."""
    known = _ended(end) if end.ended else None
    if known is not None:
        return known
    if not end.ended and condition(end.node, "Ready").get("status") in ("False", "Unknown"):
        return _caused(NODE_LOST, f"node {text(part(end.node, 'metadata'), 'name')} is not ready", end)
    if text(end.status, "phase") == "Unknown":
        return _caused(NODE_LOST, "the pod's phase was Unknown", end)
    return _deleted(end) if end.pod else _vanished(seen)


def _by_status(end: Ending) -> Verdict | None:
    reason, message = text(end.status, "reason"), text(end.status, "message")
    cause = cause_of(reason, message)
    if cause is DEADLINE and end.was_asked:
        return None
    if cause is DEADLINE and not end.began:
        cause = cause._replace(
            code="timeout_start",
            summary="The pod reached its deadline before it began.",
            remedy="See in the cluster why it waited so long.",
        )
    return None if cause is None else _caused(cause, f"{reason}: {message}", end)


def _by_condition(end: Ending) -> Verdict | None:
    found = end.disruption
    cause = cause_of(text(found, "reason"), text(found, "message"))
    return None if cause is None else _caused(cause, f"{text(found, 'reason')}: {text(found, 'message')}", end)


def _by_events(end: Ending) -> Verdict | None:
    """Of a pod that did not end by itself: the event of a node that was away for a while says nothing of one that did."""
    if end.ended and not end.was_told:
        return None
    told = sorted(_causes(end), key=lambda found: found[0] is NODE_LOST)
    if end.ended:
        told = [found for found in told if not found[1].startswith("NodeNotReady")]
    return _caused(*told[0], end) if told else None


def _causes(end: Ending) -> Iterator[tuple[Cause, str]]:
    for event in end.events:
        cause = cause_of(text(event, "reason"), text(event, "message"))
        if cause is not None and not (cause is DEADLINE and end.was_asked):
            yield cause, f"{text(event, 'reason')}: {text(event, 'message')}"


def _events_of(end: Ending, *reasons: str) -> list[str]:
    told = [event for event in end.events if text(event, "reason") in reasons]
    return [f"{text(event, 'reason')}: {text(event, 'message')}" for event in told]


def _caused(cause: Cause, words: str, end: Ending) -> Verdict:
    return Verdict(cause.code, cause.summary, (words.strip(" :"), *facts(end)), cause.remedy)


def _oom_killed(end: Ending) -> Verdict | None:
    if not end.out_of_memory or end.exit_code != SIGKILLED:
        return None
    return Verdict("oom_killed", f"{_who(end)} ran out of memory (limit {_limit(end)}).", facts(end), MORE_MEMORY)


def _oom_child(end: Ending) -> Verdict | None:
    """The flag is also set when only a child was killed: the main process then has its own exit code, and its own end."""
    if not end.out_of_memory or end.exit_code == 0:
        return None
    summary = (
        f"A process ran out of memory (limit {_limit(end)}); the main one then ended with exit code {end.exit_code}."
    )
    return Verdict("oom_child", summary, facts(end), MORE_MEMORY)


def _limit(end: Ending) -> str:
    return memory_limit(end) or "none of its own: the node's"


def _deleted(end: Ending) -> Verdict:
    asked = deletion_asked_at(end.pod)
    words = f"the deletion was asked for at {asked:%Y-%m-%d %H:%M:%S} UTC" if asked else "nothing says who deleted it"
    if end.exit_code == 0 and not end.was_deleted:
        summary = "The pod was deleted after the program had ended, before its output was read to the end."
    elif end.began:
        summary = "The pod was deleted by somebody else while it ran."
    else:
        summary = "The pod was deleted by somebody else before it began."
    return Verdict(
        "container_vanished", summary, (words, *facts(end)), "Find out what deletes pods there, then run it again."
    )


def _vanished(seen: Observation) -> Verdict:
    return Verdict(
        "container_vanished",
        "The pod is no longer in the cluster.",
        (f"uid: {seen.handle.uid}", f"pod: {seen.handle.name} in {seen.handle.place}"),
        "Run it again.",
    )


def _start_error(end: Ending) -> str:
    """The runtime's sentence about a container that could not start; "" of one that ran."""
    message = text(end.ended, "message") or end.error
    if text(end.ended, "reason") in NOT_STARTED or (end.ended and not end.began and end.exit_code == 128):
        return message or text(end.ended, "reason")
    if end.exit_code in EXEC_FAILED and fatal_exec(message):
        return fatal_exec(message)
    return "" if end.ended else end.error


def _not_started(end: Ending, error: str) -> Verdict:
    code, remedy = reason_of(error) or told_by_code(end.exit_code)
    words = {"command": command(end), "user": user(end), "working_dir": working_dir(end)}
    summary = SUMMARIES[code].format(**words)
    if end.is_init:
        summary = f"Before the job could begin, in `{end.name}`: {summary}"
    return Verdict(code, summary, (error[:1000], *facts(end)), remedy)


def _unexplained(end: Ending) -> Verdict:
    """Never a success: `Failed` without the state of a container is what is left when a node's agent lost track."""
    return Verdict(
        "internal_error",
        "The pod failed, and the cluster does not say how its container ended.",
        (text(end.status, "message") or "no container state", *facts(end)),
        "Look at the node's kubelet. " + "A retry on `platform` runs it again.",
    )


def _by_exit_code(end: Ending) -> Verdict:
    code = end.exit_code or 0
    if (name := signal_of(code)) is not None:
        return Verdict("killed_by_signal", f"{_who(end)} was ended by {name}.", facts(end), _signal_remedy(name))
    if end.is_init:
        summary = f"The init container `{end.name}` ended with exit code {code}, so the command never ran."
        return Verdict("exit_code", summary, facts(end), remedy_of(code))
    return Verdict("exit_code", f"The command ended with exit code {code}.", facts(end), remedy_of(code))


def _who(end: Ending) -> str:
    return f"The init container `{end.name}`" if end.is_init else "The container"


def _signal_remedy(name: str) -> str:
    if name != "SIGKILL":
        return "Its output may say more: the program ended itself, or another one told it to."
    return "Nothing here says who killed it: someone on the node, or the program itself."
