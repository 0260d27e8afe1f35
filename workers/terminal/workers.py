"""Workers as rows."""

from __future__ import annotations

from collections.abc import Iterable

from rich.table import Table
from rich.text import Text

from jobs.quantities import human_bytes
from jobs.terminal.badges import badge
from jobs.terminal.tables import fixed, folded, new_table, number
from jobs.terminal.words import age, safe, seconds_between, short_id
from workers.models import Worker

BAR_COLUMNS = 8
SHOWN_JOBS = 4


def workers_table(workers: Iterable[Worker]) -> Table:
    """Of rows that `with_clock` gave: a heartbeat's age is by the database's clock."""
    table = new_table(
        folded("WORKER", 3), fixed("STATE"), fixed("SLOTS"), folded("RUNS ON", 6), number("HEARD"), folded("JOBS", 2)
    )
    for worker in workers:
        table.add_row(
            Text(safe(worker.name)),
            badge(worker.state),
            slots_bar(worker.running.count(), worker.slots),
            Text(safe(what_it_offers(worker))),
            age(seconds_between(worker.last_heartbeat_at, worker.clock)),  # type: ignore[attr-defined]  # annotated
            jobs_of(worker),
        )
    return table


def slots_bar(used: int, slots: int) -> Text:
    """`██░░░░░░ 2/8`: one used slot always shows, and the bar is full only when none is free."""
    filled = min(BAR_COLUMNS - 1, max(1, BAR_COLUMNS * used // slots)) if 0 < used < slots else BAR_COLUMNS * bool(used)
    bar = Text("█" * filled, style="red" if used >= slots else "green")
    return bar.append("░" * (BAR_COLUMNS - filled), style="dim").append(f" {used}/{slots}", style="default")


def what_it_offers(worker: Worker) -> str:
    """Engines with their versions and size, then region and labels."""
    engines = [f"{engine['runtime']} {engine['version']}" for engine in worker.engines]
    size, arches = worker.capacity, {engine["arch"] for engine in worker.engines}
    room = f"{'/'.join(sorted(arches))} {size['cpus']:g} cpus {human_bytes(size['memory_bytes'])}"
    labels = [f"{key}={text}" for key, text in worker.labels.items()]
    return ", ".join([*engines, room, *([worker.region] if worker.region else []), *labels])


def jobs_of(worker: Worker) -> str:
    ids = [short_id(pk) for pk in worker.running.order_by("pk").values_list("job_id", flat=True)[: SHOWN_JOBS + 1]]
    return " ".join(ids[:SHOWN_JOBS]) + (" …" if len(ids) > SHOWN_JOBS else "")
