"""Random life with two machines and three workers, step by step beside a model of what must be true.

The model knows states, fences and leases; of the placement it knows what makes a choice right, not which one is made.
`TOWLINE_LIVES=500` lives so many, and others each time; without it they are few and always the same.
"""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from jobs.clock import Now
from jobs.models import Attempt, Job
from jobs.moves import move
from jobs.services import NotTriedAgain, cancel, retry
from jobs.states import FINAL_JOB, AttemptState, JobState
from jobs.verdicts import Verdict
from jobs.waiting import explain
from workers import claims
from workers.ending import Ending, finish
from workers.models import Worker, adoption_grace, lease
from workers.placing import place_waiting
from workers.reconcile import reconcile

from .conftest import ENGINE, make_job, make_worker
from .life import GIB, MEMORY, PLACES, SLOTS, Host, Known, Model, Try

CODES = st.sampled_from([None, None, "exit_code", "engine_unavailable"])
LATE = st.sampled_from([0, 0, 0, 1, 2])  # by how much a fence is too old


class Life(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.jobs, self.hosts = self.model.jobs, self.model.hosts
        self.transaction = transaction.atomic()
        self.transaction.__enter__()
        self.boots = 0

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self.transaction.__exit__(None, None, None)

    @initialize()
    def open_the_house(self) -> None:
        for name, engine in PLACES.items():
            make_worker(name, slots=SLOTS, engines=[{**ENGINE, "id": engine, "memory_bytes": MEMORY}])
        for limit in (1, 2, 1):
            nothing: dict[str, Any] = {"priority": 0, "max_attempts": 2, "on": ["platform"], "hint_arrives": True}
            self.submit("db" if limit == 2 else None, limit, GIB, set(), **nothing)

    # --- what users do ------------------------------------------------------------------------------------------------

    @rule(
        priority=st.integers(-1, 1),
        key=st.sampled_from([None, None, "db"]),
        limit=st.integers(1, 2),
        memory=st.sampled_from([GIB, 3 * GIB]),
        after=st.one_of(st.just(set()), st.sets(st.integers(0, 30), max_size=2)),
        max_attempts=st.integers(1, 3),
        on=st.sampled_from([["platform"], ["platform", "user"]]),
        hint_arrives=st.booleans(),
    )
    def submit(self, key: str | None, limit: int, memory: int, after: set[int], **others: Any) -> None:
        known = list(self.jobs)
        behind = list(dict.fromkeys(known[number % len(known)] for number in after)) if known else []
        policy = {"max_attempts": others["max_attempts"], "on": others["on"], "backoff": 0}
        job = make_job(
            priority=others["priority"],
            concurrency={"key": key, "limit": limit if key else None},
            resources={"memory": memory, "cpus": 0.1},
            after=[str(pk) for pk in behind],
            retry=policy,
        )
        self.jobs[job.pk] = Known(key or "", limit, memory, behind, others["max_attempts"], others["on"])
        if others["hint_arrives"]:
            self.place()

    @precondition(lambda self: self.jobs)
    @rule(number=st.integers(0, 30))
    def cancel(self, number: int) -> None:
        pk, job = self.model.job(number)
        cancel(Job.objects.get(pk=pk), "alice")
        if job.state == "queued":
            job.state = "cancelled"
        job.cancel = job.cancel or job.state not in FINAL_JOB

    @precondition(lambda self: self.jobs)
    @rule(number=st.integers(0, 30))
    def try_again(self, number: int) -> None:
        pk, job = self.model.job(number)
        try:
            retry(Job.objects.get(pk=pk), "alice")
        except NotTriedAgain:
            assert job.state not in ("failed", "cancelled")
            return
        assert job.state in ("failed", "cancelled")
        job.state, job.cancel, job.before = "queued", False, len(job.tries)

    # --- what workers do ----------------------------------------------------------------------------------------------

    @precondition(lambda self: self.model.active())
    @rule(number=st.integers(0, 30), stranger=st.sampled_from([None, None, None, *PLACES]))
    def claim(self, number: int, stranger: str | None) -> None:
        _, row, known = self._try(number)
        name = stranger or known.worker
        taken = claims.claim(row.pk, name, self.hosts[name].boot)
        assert (taken is not None) == (known.worker == name and known.boot == "")
        if taken:
            known.state = "starting" if known.state == "assigned" else known.state
            known.fence, known.boot, known.stale = known.fence + 1, self.hosts[name].boot, False

    @precondition(lambda self: self.model.active())
    @rule(number=st.integers(0, 30), late=LATE)
    def start(self, number: int, late: int) -> None:
        pk, row, known = self._try(number)
        fence = known.fence - late
        won = move(row, AttemptState.RUNNING, where={"fence": fence}, started_at=Now())
        assert won == (late == 0 and known.state == "starting")
        if won:
            assert move(row.job, JobState.RUNNING, where={"attempts_count": row.number})
            known.state = self.jobs[pk].state = "running"

    @precondition(lambda self: self.model.active())
    @rule(number=st.integers(0, 30), late=LATE, code=CODES)
    def end(self, number: int, late: int, code: str | None) -> None:
        """By whoever has it, or by a zombie that had it before."""
        pk, row, known = self._try(number)
        verdict = Verdict(code, "") if code else None
        state = AttemptState.FAILED if code else AttemptState.SUCCEEDED
        if known.state == "assigned":
            return  # nobody ends what nobody claimed
        ended = finish(row, known.fence - late, Ending(state, 1 if code else 0, verdict))
        assert ended == (late == 0)
        if ended:
            self.model.ended(self.jobs[pk], state.value, verdict)
            self.place()

    @precondition(lambda self: self.model.active())
    @rule(number=st.integers(0, 30), code=CODES, ends=st.booleans())
    def work(self, number: int, code: str | None, ends: bool) -> None:
        """As it goes when nothing happens."""
        self.claim(number, None)
        self.start(number, 0)
        if ends:
            self.end(number, 0, code)

    @precondition(lambda self: self.model.active())
    @rule(number=st.integers(0, 30), late=st.integers(0, 1))
    def let_go(self, number: int, late: int) -> None:
        _, row, known = self._try(number)
        assert claims.let_go(row, known.fence - late) == (late == 0)
        if not late:
            known.fence, known.boot, known.stale, known.grace_over = known.fence + 1, "", True, False

    @rule(name=st.sampled_from(list(PLACES)))
    def beat(self, name: str) -> None:
        if self.hosts[name].alive:
            claims.renew(name, self.hosts[name].boot)
            for _, known in self.model.tries():
                if known.is_active and (known.worker, known.boot) == (name, self.hosts[name].boot):
                    known.stale = known.grace_over = False

    # --- what befalls them --------------------------------------------------------------------------------------------

    @precondition(lambda self: self.model.active() and sum(host.alive for host in self.hosts.values()) > 1)
    @rule(name=st.sampled_from(list(PLACES)))
    def die(self, name: str) -> None:
        self.hosts[name].alive = False
        Worker.objects.filter(name=name).update(last_heartbeat_at=Now() - 10 * lease())

    @precondition(lambda self: self.model.active())
    @rule(name=st.sampled_from(list(PLACES)))
    def come_back(self, name: str) -> None:
        self.boots += 1
        self.hosts[name] = Host(f"boot-{self.boots}", draining=self.hosts[name].draining)
        Worker.objects.filter(name=name).update(last_heartbeat_at=Now(), boot=f"boot-{self.boots}")

    @precondition(lambda self: self.model.active())
    @rule(name=st.sampled_from([None, None, *PLACES]))
    def drain_one_alone(self, name: str | None) -> None:
        for other, host in self.hosts.items():
            host.draining = other == name
            Worker.objects.filter(name=other).update(draining=host.draining)

    @precondition(lambda self: self.model.active())
    @rule(number=st.integers(0, 30))
    def lose_time(self, number: int) -> None:
        _, row, known = self._try(number)
        Attempt.objects.filter(pk=row.pk).update(lease_until=Now() - timedelta(seconds=1))
        known.stale = True

    @precondition(lambda self: self.model.active())
    @rule(number=st.integers(0, 30))
    def wait_out_the_grace(self, number: int) -> None:
        _, row, known = self._try(number)
        Attempt.objects.filter(pk=row.pk).update(orphaned_at=Now() - 2 * adoption_grace(), orphan_seen_at=Now())
        known.grace_over = True

    # --- what the platform does ---------------------------------------------------------------------------------------

    @rule()
    def place(self) -> None:
        place_waiting()
        self._learn_of_placements()

    @rule()
    def recover(self) -> None:
        expected = {id(known): (job, self.model.heirs(known)) for job in self.jobs.values() for known in job.tries[-1:]}
        orphans = [(pk, known) for pk, known in self.model.tries() if self.model.is_orphan(known)]
        reconcile()
        for pk, known in orphans:
            job, heirs = expected[id(known)]
            row = Attempt.objects.get(job=pk, number=job.tries.index(known) + 1)
            if heirs and not self.model.may_be_kept(known):
                assert row.worker in heirs
                known.worker, known.boot, known.fence = row.worker, "", known.fence + 1
                known.stale = known.grace_over = False
            elif not heirs and (known.grace_over or known.state == "assigned"):
                self.model.ended(job, "lost", Verdict("worker_lost", ""), begun=known.state != "assigned")
        self._learn_of_placements()

    # --- what must be true, always ------------------------------------------------------------------------------------

    @invariant()
    def the_database_is_as_the_model(self) -> None:
        rows = {job.pk: job for job in Job.objects.all()}
        attempts: dict[UUID, list[Attempt]] = {pk: [] for pk in rows}
        for attempt in Attempt.objects.order_by("number"):
            attempts[attempt.job_id].append(attempt)
        assert rows.keys() == self.jobs.keys()
        for pk, job in self.jobs.items():
            assert (rows[pk].state, rows[pk].attempts_count) == (job.state, len(job.tries))
            assert [one.number for one in attempts[pk]] == list(range(1, len(job.tries) + 1))
            told = [(one.state, one.fence, one.worker) for one in attempts[pk]]
            assert told == [(one.state, one.fence, one.worker) for one in job.tries]
            assert sum(one.is_active for one in job.tries) == (job.state in ("assigned", "running"))

    @invariant()
    def nothing_is_overbooked(self) -> None:
        active = [(job, known) for job in self.jobs.values() for known in job.tries if known.is_active]
        for engine in set(PLACES.values()):
            assert sum(job.memory for job, known in active if PLACES[known.worker] == engine) <= MEMORY

    # --- between the two --------------------------------------------------------------------------------------------

    def _try(self, number: int) -> tuple[UUID, Attempt, Try]:
        pk, known = self.model.active()[number % len(self.model.active())]
        row = Attempt.objects.select_related("job").get(job=pk, number=self.jobs[pk].tries.index(known) + 1)
        return pk, row, known

    def _learn_of_placements(self) -> None:
        """Every choice was allowed, and nothing that could have been chosen was left."""
        self.model.end_the_hopeless()
        rows = Job.objects.prefetch_related("attempts").in_bulk()
        for pk, job in self.jobs.items():
            row = rows[pk]
            if job.state == "queued" and row.state == "assigned":
                attempt = row.current_attempt
                assert attempt
                host = self.hosts[attempt.worker]
                assert self.model.is_ready(job)
                assert host.alive
                assert not host.draining
                job.tries.append(Try(attempt.worker))
                job.state = "assigned"
        for pk, told in explain(rows.values()).items():
            assert told["reason"] == self.model.why(self.jobs[pk])


def test_life_is_as_the_model_says() -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Life,
        settings=settings(
            max_examples=int(os.environ.get("TOWLINE_LIVES", "25")),
            derandomize="TOWLINE_LIVES" not in os.environ,
            phases=[Phase.generate],  # to make a failing life shorter takes minutes; it is told whole
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )
