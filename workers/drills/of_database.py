"""The database hangs up on everybody at once."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import connection

from .drill import Drill, Refused
from .ground import choose_worker
from .promise import Bounds, Promise
from .scene import Scene
from .witness import (
    STEADY,
    call_witness,
    count,
    online,
    see_it_survive,
    see_success,
    see_workers_steady,
    survives,
)

HANG_UP = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()
"""


class LostDatabase(Drill):
    name = "lost-database"
    about = "PostgreSQL ends all our connections but the drill's own (pg_terminate_backend), while a job runs and others come."
    disturbs = (
        "requests under way may answer with an error; whatever else is connected as this user loses its connection"
    )

    def look(self, scene: Scene) -> None:
        if connection.vendor != "postgresql":
            raise Refused(
                f"the database is {connection.vendor}, whose connections nobody can end: PostgreSQL is needed"
            )
        choose_worker(scene)

    def promises(self, bounds: Bounds) -> Iterable[Promise]:
        return (
            Promise("fresh", "a job submitted right after it succeeds, at its first attempt", bounds.begin),
            *survives(bounds),
            STEADY,
        )

    def run(self, scene: Scene) -> None:
        before = online()
        witness = call_witness(scene)
        with connection.cursor() as cursor:
            cursor.execute(HANG_UP)
            scene.tell(f"{cursor.fetchone()[0]} connections are ended")
        fresh = count(scene, 3)
        see_success(scene, "fresh", fresh)
        see_it_survive(scene, witness)
        see_workers_steady(scene, before)
