"""A full disk, as a job meets it. Only what has a size limit is filled, or what is small: never the host's disk."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from uuid import uuid4

from django.conf import settings

from jobs.models import Job, installation_key
from jobs.quantities import MIB, human_bytes
from workers.container import container_name
from workers.drivers.docker.request import LABEL_DISK
from workers.drivers.protocol import Unavailable
from workers.engines import driver

from .drill import Drill, Refused
from .ground import choose_worker, reaches
from .promise import Bounds, Promise
from .scene import Scene, newest
from .witness import STEADY, call_witness, online, see_it_survive, see_workers_steady, standing, survives, texts

END_SECONDS = 60.0
QUOTA_MIB, WRITTEN_MIB, SHM_MIB = 64, 80, 16
LARGEST_BYTES = 1024 * MIB
FULL = "No space left on device"
NOT_HELD = "this engine's storage driver has no quotas: nothing holds jobs to `resources.disk` here"


class FillDisk(Drill):
    name = "fill-disk"
    about = (
        f"Jobs write until there is no room: in /dev/shm, and past `resources.disk` ({WRITTEN_MIB} MiB in all); "
        "with --folder, in a small file system of yours."
    )
    takes = frozenset({"folder"})
    folder: Path | None = None

    def look(self, scene: Scene) -> None:
        self.folder = scene.ways.folder
        choose_worker(scene, here=self.folder is not None, only="process" if self.folder else None)
        if self.folder:
            refuse_unless_small(self.folder)
        elif scene.runtime == "process":
            raise Refused(
                "the process runtime holds nobody to a disk limit: give a small file system to fill (--folder), or "
                "run it in Docker"
            )
        elif not reaches(scene):
            raise Refused(f"the engine of {scene.worker} is not reached from here: run the drill on its host")

    def promises(self, bounds: Bounds) -> Iterable[Promise]:
        limit = END_SECONDS + bounds.notice
        if self.folder:
            yield Promise("folder", f"a job that fills {self.folder} fails, and its log says why", limit)
        else:
            yield Promise("shm", f"a job that fills its /dev/shm of {SHM_MIB} MiB fails, and its log says why", limit)
            yield Promise("quota", "a job that writes past its disk limit fails, or is marked as not held to it", limit)
        yield from survives(bounds)
        yield STEADY

    def run(self, scene: Scene) -> None:
        before = online()
        witness = call_witness(scene)
        if self.folder:
            self._fill_folder(scene, self.folder)
        else:
            self._fill_shm(scene)
            self._pass_quota(scene)
        see_it_survive(scene, witness)
        see_workers_steady(scene, before)

    def _fill_folder(self, scene: Scene, folder: Path) -> None:
        file = folder / f"towline-drill-{uuid4().hex}"
        scene.undo.callback(file.unlink, missing_ok=True)
        scene.tell(f"a job fills {folder}")
        job = scene.submit(command=["sh", "-c", 'dd if=/dev/zero of="$FILE" bs=1M'], env={"FILE": str(file)})
        scene.watch("folder", lambda: found_no_room(job), otherwise=lambda: standing(job))

    def _fill_shm(self, scene: Scene) -> None:
        scene.tell("a job fills its /dev/shm")
        job = scene.submit(
            command=["dd", "if=/dev/zero", "of=/dev/shm/fill", "bs=1M", f"count={4 * SHM_MIB}"],
            resources={"cpus": 0.5, "memory": "128Mi", "shm": f"{SHM_MIB}Mi"},
        )
        scene.watch("shm", lambda: found_no_room(job), otherwise=lambda: standing(job))

    def _pass_quota(self, scene: Scene) -> None:
        scene.tell(f"a job with disk {QUOTA_MIB}Mi writes {WRITTEN_MIB} MiB")
        write = f"dd if=/dev/zero of=/fill bs=1M count={WRITTEN_MIB}; code=$?; rm -f /fill; sleep 2; exit $code"
        job = scene.submit(
            command=["sh", "-c", write],
            resources={"cpus": 0.5, "memory": "128Mi", "disk": f"{QUOTA_MIB}Mi"},
        )
        marked = False

        def over() -> bool:
            nonlocal marked
            marked = marked or is_marked(job)
            return found_no_room(job) or job.is_final

        taken = scene.until(over, END_SECONDS + scene.bounds.notice)
        held = taken is not None and (found_no_room(job) or (marked and job.state == "succeeded"))
        detail = "" if held and not marked else NOT_HELD if held else standing(job)
        scene.judge("quota", held, seconds=taken, detail=detail)


def refuse_unless_small(folder: Path, largest: int = LARGEST_BYTES) -> None:
    """A file system of its own and of at most `largest` bytes, so that nothing else can run out of room."""
    try:
        room = os.statvfs(folder)
        device = folder.stat().st_dev
    except OSError as error:
        raise Refused(f"--folder {folder}: {error.strerror}") from error
    if device in {Path("/").stat().st_dev, settings.TOWLINE.TOWLINE_DATA_DIR.stat().st_dev}:
        raise Refused(f"--folder {folder} is no file system of its own: mount a small one there (tmpfs, or a loop)")
    if (size := room.f_blocks * room.f_frsize) > largest:
        raise Refused(f"--folder {folder} has {human_bytes(size)}: at most {human_bytes(largest)} are filled")


def found_no_room(job: Job) -> bool:
    job.refresh_from_db()
    attempt = newest(job)
    if job.state != "failed" or job.attempts_count != 1 or attempt is None:
        return False
    return job.verdict_code == "disk_full" or any(FULL in text for text in texts(attempt))


def is_marked(job: Job) -> bool:
    """Whether its container is labelled as not held to its disk limit; seen only while it is there."""
    try:
        seen = driver("docker").find(container_name(installation_key(), job.pk, 1))
    except Unavailable:
        return False
    return seen is not None and LABEL_DISK in seen.labels
