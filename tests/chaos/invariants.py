"""I1 to I12: what must hold whatever happened (I13: `traces`). Each yields what is wrong, in words: first of which job."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from tests.chaos.evidence import Account, EngineWitness
from tests.chaos.faults import World
from tests.stack import FINAL

STATES = {"queued", "assigned", "running", *FINAL}
TAKEN = {"preempted": "preempted", "evicted": "evicted_node"}  # by a cluster
Wrong = Iterator[str]


def check_job(account: Account, world: World, witness: EngineWitness | None) -> Wrong:
    for wrong in (
        *is_over(account),
        *final_stays_final(account),
        *ran_once(account),
        *ends_as_it_may(account, world),
        *said_all(account, world),
        *(the_engine_agrees(account, world, witness) if witness and account.story.runtime == "docker" else ()),
    ):
        yield f"{account.story.id} ({account.story.kind}, {account.story.runtime}): {wrong}"


def is_over(account: Account) -> Wrong:
    """I1: every job that was taken ends, as its last attempt did; none is left half-way."""
    job, attempts = account.job, account.attempts
    if job["state"] not in FINAL:
        yield f"I1 still {job['state']}: {job['waiting']}"
        return
    numbers = [attempt["number"] for attempt in attempts]
    if numbers != list(range(1, job["attempts_count"] + 1)):
        yield f"I1 attempts {numbers} of {job['attempts_count']}"
    for attempt in attempts:
        if attempt["finished_at"] is None or (attempt["claimed_at"] and attempt["removed_at"] is None):
            yield f"I4 attempt {attempt['number']} is {attempt['state']}, removed at {attempt['removed_at']}"
    called_off = _never_began(account, attempts[-1]) or _waited_again(account) if attempts else False
    if attempts and attempts[-1]["state"] != job["state"] and not called_off:
        yield f"I1 the job {job['state']}, its last attempt {attempts[-1]['state']}"
    if not attempts and not (job["state"] == "cancelled" and account.story.cancel_asked):
        yield f"I1 {job['state']} without an attempt"


def final_stays_final(account: Account) -> Wrong:
    """I7. As its user first saw it, so it is now; and the time-line has one end, with no state behind it."""
    seen = account.story.seen or {}
    changed = [key for key in ("state", "exit_code", "verdict", "attempts_count") if seen.get(key) != account.job[key]]
    if seen and changed:
        yield f"I7 {changed} changed after the end: {seen} became {account.job}"
    kinds = [event["kind"] for event in account.events if event["kind"] in STATES]
    if sum(kind in FINAL for kind in kinds) != 1 or kinds[-1] not in FINAL:
        yield f"I7 the job went through {kinds}"


def ran_once(account: Account) -> Wrong:
    """I2, I3 by the probes: no attempt ran twice, no two of one job at a time, none that the database knows nothing of."""
    for number, probe in account.probes.items():
        if probe.double:
            yield f"I3 attempt {number} ran twice"
        if number > len(account.attempts):
            yield f"I3 attempt {number} ran and is not in the database"
    spans = [account.probes[number] for number in sorted(account.probes)]
    for one, next_one in pairwise(spans):
        if one.ended_ns and next_one.started_ns and next_one.started_ns < one.ended_ns:
            yield "I2 two attempts overlap"


def ends_as_it_may(account: Account, world: World) -> Wrong:
    """I6, by what the program does, and what was done to it."""
    for attempt in account.attempts:
        code = (attempt["verdict"] or {}).get("code")
        if (code, attempt["exit_code"]) in _by_itself(account, attempt["number"]) or _never_began(account, attempt):
            continue
        if code not in _by_others(account, world, attempt["number"]):
            yield f"I6 attempt {attempt['number']} ended with {attempt['exit_code']}, {attempt['verdict']}"


def _never_began(account: Account, attempt: dict[str, Any]) -> bool:
    """Nobody was there to take it: both run workers frozen or dead for longer than a lease. It was no try: the job went on
    with the next attempt, or was cancelled before there was one.
    """
    lost = attempt["state"] == "lost" and attempt["claimed_at"] is None and attempt["number"] not in account.probes
    cancelled = account.job["state"] == "cancelled" and account.story.cancel_asked
    return lost and (cancelled or bool(attempt["number"] < account.job["attempts_count"]))


def _waited_again(account: Account) -> bool:
    """Cancelled while it waited for its next try: the last one ended as it ended."""
    states = [event["kind"] for event in account.events if event["kind"] in {"queued", "assigned", "running", *FINAL}]
    return account.story.cancel_asked and states[-2:] == ["queued", "cancelled"]


def _by_itself(account: Account, number: int) -> set[tuple[str | None, int]]:
    if account.story.kind == "endless":
        return set()
    code = account.story.end_of(number)
    return {("exit_code" if code else None, code)}


def _by_others(account: Account, world: World, number: int) -> set[str]:
    story, done = account.story, world.disturbed.get(account.name_of(world.installation, number), set())
    allowed = {"timeout_run"} if story.kind == "endless" else set()
    allowed |= {"cancelled"} if story.cancel_asked else set()
    allowed |= {"killed_by_signal"} if done & {"killed", "removed"} else set()
    allowed |= {code for how, code in TAKEN.items() if how in done}
    return allowed | ({"container_vanished"} if "removed" in done else set())


def said_all(account: Account, world: World) -> Wrong:
    """I5: the stored output is 1..n, in order, once, and as long as the container counted; sums and counts fit."""
    for attempt in account.attempts:
        number, facts = attempt["number"], attempt["log"]
        output = account.outputs[number]
        lines = output.count(b"\n")
        if output != b"".join(b"%d\n" % n for n in range(1, lines + 1)):
            yield f"I5 attempt {number}: the output is not 1..{lines}: {output[:200]!r} … {output[-200:]!r}"
        if (facts["lines"], facts["bytes"]) != (lines, len(output)):
            yield f"I5 attempt {number}: {facts} for {lines} lines, {len(output)} bytes"
        if missing := lines_lost(account, number):
            yield f"I5 attempt {number}: {missing} lines are missing, complete is {facts['complete']}"


def lines_lost(account: Account, number: int) -> int:
    """Of an attempt whose log is said to be complete."""
    probe, attempt = account.probes.get(number), account.attempts[number - 1]
    if not attempt["log"]["complete"]:
        return 0
    code = (attempt["verdict"] or {}).get("code")
    by_itself = attempt["claimed_at"] and (code, attempt["exit_code"]) in _by_itself(account, number)
    if probe is None and not by_itself:
        return 0
    counted = account.story.lines if probe is None or probe.ended_ns else probe.said or 0
    return max(0, counted - attempt["log"]["lines"])


def the_engine_agrees(account: Account, world: World, witness: EngineWitness) -> Wrong:
    """I2, I3, I6 by the engine's own events."""
    last_end = 0
    for attempt in account.attempts:
        name = account.name_of(world.installation, attempt["number"])
        starts, ends = witness.starts.get(name, []), witness.ends.get(name, [])
        if len(starts) > 1:
            yield f"I3 the engine started {name} {len(starts)} times"
        if starts and starts[0] < last_end:
            yield f"I2 {name} was started before the one before it ended"
        last_end = max([last_end, *(at for at, _ in ends)])
        codes = {code for _, code in ends}
        if attempt["exit_code"] is not None and codes and attempt["exit_code"] not in codes:
            yield f"I6 attempt {attempt['number']}: exit code {attempt['exit_code']}, the engine says {codes}"


def check_probes(accounts: list[Account], world: World) -> Wrong:
    """I3: nothing ran that nobody sent."""
    known = {account.story.id for account in accounts}
    for folder in world.platform.probes.iterdir():
        if folder.name.rpartition("-a")[0] not in known:
            yield f"I3 {folder.name} ran, and no user sent it"


def containers_left(world: World) -> list[Any]:
    """I4."""
    left: list[Any] = world.witness.left() if world.witness else []
    left += [each.name for each in (world.platform.folder / "processes").glob("*-a*")]
    if world.docker:
        label = f"towline.installation={world.installation}"
        left += [one["Names"] for one in world.docker.containers(all=True, filters={"label": label})]
    return left


def check_answers(statuses: Counter[int], seconds: list[float]) -> Wrong:
    """I11."""
    if wrong := set(statuses) - {200, 201, 202, 503}:
        yield f"I11 REST answered {wrong}: {dict(statuses)}"
    if sorted(seconds)[len(seconds) * 95 // 100] > 2:
        yield f"I11 one answer in twenty took longer than {sorted(seconds)[len(seconds) * 95 // 100]:.1f} s"
