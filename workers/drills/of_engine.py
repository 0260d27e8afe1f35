"""The Docker engine goes away and comes back. What becomes of its containers is the engine's own setting: live-restore."""

from __future__ import annotations

import time
from collections.abc import Iterable

from jobs.models import Attempt
from workers.drivers.protocol import Unavailable
from workers.engines import driver

from .counting import miscount
from .drill import CutShort, Drill, Refused
from .ground import choose_worker, reaches
from .promise import Bounds, Promise
from .scene import Scene
from .witness import (
    STEADY,
    Witness,
    call_witness,
    count,
    online,
    see_it_survive,
    see_success,
    see_workers_steady,
    standing,
    survives,
    texts,
)

HOW = "--stop 'systemctl stop docker.socket docker' --start 'systemctl start docker.socket docker'"
STOP_SECONDS = 30.0
ENDED = ("killed_by_signal", "container_vanished")


class StopEngine(Drill):
    name = "stop-engine"
    about = "The Docker engine is stopped and started again by commands of yours, while a job runs and another comes."
    disturbs = "without live-restore, every container of that engine ends, whoever started it"
    takes = frozenset({"stop", "start", "limit"})
    live_restore = False

    def look(self, scene: Scene) -> None:
        if not (scene.ways.stop and scene.ways.start):
            raise Refused(f"say how the engine is stopped and started here: {HOW}")
        choose_worker(scene, only="docker")
        if not reaches(scene):
            raise Refused(f"the engine of {scene.worker} is not reached from here: run the drill on its host")
        self.stop, self.start = scene.ways.stop, scene.ways.start
        self.live_restore = bool(driver("docker").probe().detail.get("LiveRestoreEnabled"))
        scene.tell(
            f"live-restore is {'on: containers outlive' if self.live_restore else 'off: containers end with'} it"
        )

    def promises(self, bounds: Bounds) -> Iterable[Promise]:
        yield Promise("away", "the engine is gone", STOP_SECONDS)
        yield Promise("back", "the engine is there again", bounds.restart)
        yield Promise("fresh", "a job submitted meanwhile succeeds, at its first attempt", bounds.begin + 15)
        if self.live_restore:
            yield from survives(bounds)
        else:
            yield Promise("told", f"the attempt that ran ends as `{'` or `'.join(ENDED)}`", bounds.begin)
            yield Promise("retried", "the job is tried again by its policy, and succeeds", bounds.end)
            yield Promise("log", f"with every line from 1 to {bounds.count} once and in order")
        yield STEADY

    def run(self, scene: Scene) -> None:
        before = online()
        retry = {"max_attempts": 2, "backoff": 0, "on": ["platform", *ENDED]}
        witness = call_witness(scene, retry=retry)
        scene.undo.callback(self._have_it_back, scene)
        scene.order(self.stop)
        scene.watch("away", lambda: not answers(), otherwise=lambda: "it still answers")
        fresh = count(scene, 3)
        time.sleep(2 * scene.bounds.heartbeat)
        scene.order(self.start)
        if not scene.watch("back", answers, otherwise=lambda: "it does not answer: start it by hand now"):
            raise CutShort
        see_success(scene, "fresh", fresh)
        if self.live_restore:
            see_it_survive(scene, witness)
        else:
            self._see_it_retried(scene, witness)
        see_workers_steady(scene, before)

    @staticmethod
    def _have_it_back(scene: Scene) -> None:
        if not answers() and scene.ways.start:
            scene.order(scene.ways.start)

    @staticmethod
    def _see_it_retried(scene: Scene, witness: Witness) -> None:
        def code() -> str:
            return str((witness.attempt.verdict or {}).get("code"))

        scene.watch("told", lambda: code() in ENDED, otherwise=code)
        job = witness.job

        def succeeded() -> bool:
            job.refresh_from_db()
            return job.state == "succeeded" and job.attempts_count == 2

        if not scene.watch("retried", succeeded, otherwise=lambda: standing(job)):
            raise CutShort
        wrong = miscount(texts(Attempt.objects.get(job=job, number=2)), witness.lines)
        scene.judge("log", not wrong, detail=wrong)


def answers() -> bool:
    try:
        driver("docker").probe()
    except Unavailable:
        return False
    return True
