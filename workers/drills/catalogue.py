"""All drills, by name."""

from __future__ import annotations

from collections.abc import Mapping

from .drill import Drill
from .of_database import LostDatabase
from .of_disks import FillDisk
from .of_engine import StopEngine
from .of_jobs import BadImage, CancelStubborn, DuplicateHint, OutOfMemory
from .of_redis import FlushRedis, RestartRedis
from .of_workers import DeafWorker, FreezeWorker, KillWorker, StopWorker

DRILLS: Mapping[str, type[Drill]] = {
    drill.name: drill
    for drill in (
        KillWorker,
        StopWorker,
        FreezeWorker,
        DeafWorker,
        RestartRedis,
        FlushRedis,
        StopEngine,
        LostDatabase,
        OutOfMemory,
        BadImage,
        FillDisk,
        CancelStubborn,
        DuplicateHint,
    )
}
