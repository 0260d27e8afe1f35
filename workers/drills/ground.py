"""What a drill needs to find: a worker, its process on this host, and whether its engine is reached from here."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from django.core.management.base import CommandError

from jobs.models import Job
from jobs.states import FINAL_JOB
from workers.drivers.protocol import Unavailable
from workers.engines import driver
from workers.models import Worker, WorkerState
from workers.suites.image import have_demo_image
from workers.suites.running import DEMO_IMAGE

from .drill import Refused
from .scene import LABEL, Scene

CONTAINER_MARKS = (Path("/.dockerenv"), Path("/run/.containerenv"))
RUNTIMES = ("docker", "process")  # the first that a worker offers


def be_alone() -> None:
    """Two drills at once would take each other's faults for their own."""
    other = Job.objects.filter(labels__has_key=LABEL).exclude(state__in=FINAL_JOB).first()
    if other:
        raise Refused(
            f"a job of another drill is under way ({other.name}): wait for it, or `manage.py cancel {other.pk}`"
        )


def choose_worker(scene: Scene, *, here: bool = False, only: str | None = None) -> Worker:
    """An online worker with the runtime, by the operator's wishes; `here`: on this host. Settles the scene."""
    wanted = scene.ways.runtime
    if only and wanted not in (None, only):
        raise Refused(f"{scene.drill.name} needs the {only} runtime")
    found = [worker for worker in Worker.objects.with_clock() if worker.state == WorkerState.ONLINE]
    if scene.ways.worker:
        found = [worker for worker in found if worker.name == scene.ways.worker]
    if here:
        found = [worker for worker in found if worker.host == socket.gethostname()]
    for runtime in [only or wanted] if only or wanted else RUNTIMES:
        for worker in found:
            if runtime in worker.runtimes:
                scene.settle(worker, str(runtime), scene.ways.image or DEMO_IMAGE)
                _have_image(scene)
                return worker
    raise Refused(_nobody(scene, only or wanted, here=here))


def _nobody(scene: Scene, runtime: str | None, *, here: bool) -> str:
    who = f"no worker {scene.ways.worker}" if scene.ways.worker else "no worker"
    where = f" on this host ({socket.gethostname()})" if here else ""
    what = f" with the {runtime} runtime" if runtime else ""
    elsewhere = (
        "; run the drill on the worker's own host" + (", or give --command" if "command" in scene.drill.takes else "")
        if here
        else ""
    )
    return f"{who} is online{where}{what}: `manage.py workers` lists them{elsewhere}"


def _have_image(scene: Scene) -> None:
    if scene.runtime != "docker" or scene.ways.image or not reaches(scene):
        return
    try:
        have_demo_image()
    except CommandError as error:
        raise Refused(f"{error}; or name an image of yours with a shell: --image") from error


def reaches(scene: Scene) -> bool:
    """Whether this process sees the engine that the worker runs the scene's jobs on."""
    try:
        here = driver(scene.runtime).probe().id
    except Unavailable:
        return False
    return any(engine["id"] == here for engine in scene.worker.engines)


def process_of(worker: Worker, *, ending: bool) -> int:
    """Its process id on this host, looked at before anything is sent there. `ending`: it is to end."""
    pid = worker.pid
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
        os.kill(pid, 0)
    except PermissionError as error:
        raise Refused(f"process {pid} of {worker.name} is another user's: run the drill as that user") from error
    except OSError as error:
        raise Refused(
            f"{worker.name} has no process {pid} here: is it in a container? Run the drill in there, or give --command"
        ) from error
    if b"serve\0run" not in command:
        raise Refused(f"process {pid} is not {worker.name}'s: is it in a container? Run the drill in there")
    if pid == 1:
        raise Refused(f"{worker.name} is process 1 of its container, which can't be killed or frozen from inside")
    if ending and _parent_of(pid) == 1 and any(mark.exists() for mark in CONTAINER_MARKS):
        raise Refused(
            f"this container ends with {worker.name}, and the drill with it: run it elsewhere, with --command"
        )
    return pid


def _parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
