"""Faults of a run worker: killed, stopped, frozen, deaf. Its job has to outlive each."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable

from celery import current_app
from celery.utils.nodenames import worker_direct

from jobs.models import Attempt, Event
from workers.drivers.protocol import Phase, Unavailable
from workers.engines import driver_of
from workers.models import Worker, WorkerState
from workers.removing import find_container

from .drill import CutShort, Drill, Refused
from .ground import choose_worker, process_of
from .promise import Bounds, Promise
from .scene import Scene, newest
from .witness import (
    Witness,
    adoptions,
    call_witness,
    count,
    is_followed,
    see_it_survive,
    see_success,
    standing,
    survives,
)

DETACH_SECONDS = 2.0
EXIT_SECONDS = 10.0
SUPERVISE = "nobody started it again: run it under `manage.py up`, or with Restart=always, and start it by hand now"


class _EndsWorker(Drill):
    """What killing and stopping have in common."""

    takes = frozenset({"command", "limit"})

    def look(self, scene: Scene) -> None:
        worker = choose_worker(scene, here=not scene.ways.command)
        if not scene.ways.command:
            process_of(worker, ending=True)

    def end(self, scene: Scene, number: signal.Signals) -> None:
        if scene.ways.command:
            scene.order(scene.ways.command)
        else:
            pid = process_of(scene.worker, ending=True)
            scene.tell(f"{number.name} to {scene.worker}, process {pid}")
            os.kill(pid, number)

    def see_it_adopted(self, scene: Scene, witness: Witness) -> None:
        worker = scene.worker
        again = lambda: Worker.objects.alive().filter(name=worker.name).exclude(boot=worker.boot).exists()  # noqa: E731
        back = scene.watch("back", again, otherwise=lambda: SUPERVISE)
        taken_up = scene.watch(
            "adopted",
            lambda: adoptions(witness.job) > witness.adoptions,
            otherwise=lambda: standing(witness.job),
            hopeless=lambda: witness.attempt.is_final,
        )
        if not (back or taken_up):
            raise CutShort


def _back(bounds: Bounds) -> Promise:
    return Promise("back", "its supervisor starts the worker again", bounds.restart)


def _adopted(bounds: Bounds) -> Promise:
    return Promise("adopted", "the job is adopted by whoever reaches its engine", bounds.lapse)


class KillWorker(_EndsWorker):
    name = "kill-worker"
    about = "SIGKILL for a run worker of this host while a job runs on it."
    disturbs = "its jobs run on without being followed until the worker is back"

    def promises(self, bounds: Bounds) -> Iterable[Promise]:
        return (_back(bounds), _adopted(bounds), *survives(bounds))

    def run(self, scene: Scene) -> None:
        witness = call_witness(scene)
        self.end(scene, signal.SIGKILL)
        self.see_it_adopted(scene, witness)
        see_it_survive(scene, witness)


class StopWorker(_EndsWorker):
    name = "stop-worker"
    about = "SIGTERM for a run worker of this host, as an upgrade does it."
    disturbs = "its jobs run on without being followed until the worker is back"

    def promises(self, bounds: Bounds) -> Iterable[Promise]:
        return (
            Promise("detached", "the worker lets go of the job", DETACH_SECONDS),
            Promise("runs", "whose container runs on"),
            Promise("exited", "the worker ends", EXIT_SECONDS),
            _back(bounds),
            _adopted(bounds),
            *survives(bounds),
        )

    def run(self, scene: Scene) -> None:
        witness = call_witness(scene)
        self.end(scene, signal.SIGTERM)
        let_go = lambda: Event.objects.filter(job=witness.job, kind="detached").exists()  # noqa: E731
        scene.watch("detached", let_go, otherwise=lambda: standing(witness.job))
        held, detail = container_runs(witness.attempt)
        scene.judge("runs", held, detail=detail)
        worker = scene.worker
        signed_off = Worker.objects.filter(name=worker.name, boot=worker.boot, stopped_at=None)
        scene.watch("exited", lambda: not signed_off.exists())
        self.see_it_adopted(scene, witness)
        see_it_survive(scene, witness)


def container_runs(attempt: Attempt) -> tuple[bool, str]:
    """As the engine says it."""
    try:
        seen = find_container(attempt, driver_of(attempt))
    except Unavailable as error:
        return False, f"the engine can't be asked from here: {error}"
    phase = seen.phase if seen else Phase.GONE
    return phase is Phase.RUNNING, "" if phase is Phase.RUNNING else f"it is {phase}"


class FreezeWorker(Drill):
    name = "freeze-worker"
    about = "SIGSTOP for a run worker of this host until its leases are over, then SIGCONT."
    disturbs = "its jobs run on without being followed meanwhile; other workers may adopt them"
    seconds = 0.0

    def look(self, scene: Scene) -> None:
        process_of(choose_worker(scene, here=True), ending=False)
        self.seconds = scene.bounds.lease + scene.bounds.heartbeat + 1
        if scene.bounds.grace <= scene.bounds.heartbeat + 1:
            raise Refused(
                f"with a grace of {scene.bounds.grace:g} s its jobs could be declared lost: "
                "set TOWLINE_ADOPTION_GRACE_SECONDS above the heartbeat by more than a second"
            )

    def promises(self, bounds: Bounds) -> Iterable[Promise]:
        return (
            Promise("lost", "while it is frozen, the worker is shown as lost", self.seconds),
            Promise("back", "when it goes on, it is online again", bounds.notice),
            Promise("followed", "and the job is followed, by it or by another worker", bounds.lapse),
            *survives(bounds),
        )

    def run(self, scene: Scene) -> None:
        witness = call_witness(scene)
        worker = scene.worker
        pid = process_of(worker, ending=False)
        scene.tell(f"SIGSTOP to {worker}, process {pid}, for {self.seconds:g} s")
        began = time.monotonic()
        # Should the drill itself be killed, the worker must not stay frozen.
        guard = ["sh", "-c", f"sleep {self.seconds + 5:g}; kill -CONT {pid}"]
        subprocess.Popen(guard, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        scene.undo.callback(os.kill, pid, signal.SIGCONT)
        os.kill(pid, signal.SIGSTOP)
        scene.watch("lost", lambda: state_of(worker.name) == WorkerState.LOST)
        time.sleep(max(0.0, began + self.seconds - time.monotonic()))
        scene.tell("SIGCONT")
        os.kill(pid, signal.SIGCONT)
        scene.watch("back", lambda: state_of(worker.name) == WorkerState.ONLINE)
        scene.watch("followed", lambda: is_followed(witness.attempt), otherwise=lambda: standing(witness.job))
        see_it_survive(scene, witness)


def state_of(name: str) -> WorkerState:
    return Worker.objects.with_clock().get(name=name).state


class DeafWorker(Drill):
    name = "deaf-worker"
    about = "A run worker stops consuming its own queue, over Celery's remote control, and beats on as if nothing were."
    disturbs = "the worker takes no new jobs until it hears again, and may be started anew"
    takes = frozenset({"limit"})

    def look(self, scene: Scene) -> None:
        choose_worker(scene)

    def promises(self, bounds: Bounds) -> Iterable[Promise]:
        return (
            Promise("suspect", "the worker is shown as suspect", bounds.lapse),
            Promise("avoided", "while it is, no job is placed on it"),
            Promise("healed", "it hears again by itself, or ends and is started again", bounds.lapse + bounds.restart),
            Promise("given", "a job given to it while it was deaf succeeds, at its first attempt", bounds.begin),
            *survives(bounds),
        )

    def run(self, scene: Scene) -> None:
        witness = call_witness(scene)
        worker = scene.worker
        queue = worker_direct(worker.name)
        control = current_app.control
        scene.undo.callback(
            control.add_consumer,
            queue.name,
            queue.exchange.name,
            routing_key=queue.routing_key,
            destination=[worker.name],
        )
        scene.tell(f"{worker} stops consuming {queue.name}")
        answers = control.cancel_consumer(queue.name, destination=[worker.name], reply=True, timeout=10)
        if not answers:
            raise Refused(f"{worker} does not answer over Celery's remote control: look at Redis and at its log")
        given = count(scene, 3)
        if not scene.watch("suspect", suspect(worker.name), otherwise=lambda: f"it is {state_of(worker.name)}"):
            raise CutShort
        held, detail = self._is_avoided(scene, worker.name)
        scene.judge("avoided", held, detail=detail)
        healed = lambda: state_of(worker.name) == WorkerState.ONLINE  # noqa: E731
        scene.watch("healed", healed, otherwise=lambda: f"it is {state_of(worker.name)}")
        see_success(scene, "given", given)
        see_it_survive(scene, witness)

    def _is_avoided(self, scene: Scene, name: str) -> tuple[bool, str]:
        """For as long as the suspicion lasts: where a job goes that is submitted during it."""
        job = count(scene, 3)
        while True:
            attempt = newest(job)
            if state_of(name) != WorkerState.SUSPECT:
                return True, ""
            if attempt:
                return attempt.worker != name, "" if attempt.worker != name else "it was given a job"
            time.sleep(scene.bounds.heartbeat / 10)


def suspect(name: str) -> Callable[[], bool]:
    return lambda: state_of(name) == WorkerState.SUSPECT
