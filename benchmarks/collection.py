"""`make bench-logs`: how fast output gets into the database, against `docker logs -f` into nothing. See `--help`.

Both ways start a container of their own that writes the same lines as fast as it can, and are done when they have read
all of it; Towline's has then also stored it and knows its SHA-256. The rounds are interleaved. At last one longer log is
collected with an eye on the memory of this process.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

import django
from docker import APIClient
from docker.utils import kwargs_from_env
from rich.console import Console
from rich.table import Table

from .figures import median, spread

SHARE = 0.70
GROWTH_BYTES = 50 * 10**6
MB = 10**6
TELL = Console(stderr=True)
LINE = b"0123456789abcdef" * 1024


@dataclass
class Measured:
    """Bytes a second by round. `growth`: the most memory above that before the long log."""

    database: str
    line_bytes: int
    docker: list[float] = field(default_factory=list)
    towline: list[float] = field(default_factory=list)
    exact: bool = True
    memory_log_bytes: int = 0
    growth: int = 0

    @property
    def shares(self) -> list[float]:
        return [ours / theirs for ours, theirs in zip(self.towline, self.docker, strict=True)]

    @property
    def aims(self) -> list[tuple[str, bool]]:
        aims = [
            (
                f"stores at {SHARE:.0%} of the speed at which docker logs -f reads, or more",
                median(self.shares) >= SHARE,
            ),
            ("stores every byte, and the right SHA-256", self.exact),
        ]
        if self.memory_log_bytes:
            growth = f"grows by less than {GROWTH_BYTES // MB} MB while it stores {self.memory_log_bytes // MB} MB"
            aims.append((growth, self.growth < GROWTH_BYTES))
        return aims


def command(total: int, line_bytes: int) -> tuple[str, ...]:
    """Writes so many bytes in lines of so many as fast as it can."""
    return "sh", "-c", f'yes "{LINE[: line_bytes - 1].decode()}" | head -c {total}'


def expected(total: int, line_bytes: int) -> str:
    digest, line = hashlib.sha256(), LINE[: line_bytes - 1] + b"\n"
    block = line * (MB // line_bytes)
    for _ in range(total // len(block)):
        digest.update(block)
    digest.update((block * 2)[: total % len(block)])
    return digest.hexdigest()


def by_docker(total: int, line_bytes: int) -> float:
    """Bytes a second of `docker logs -f` from the container's start to its end."""
    from workers.drivers.docker.driver import DockerDriver

    driver = DockerDriver()
    handle = driver.start(_spec("docker", total, line_bytes))
    began = perf_counter()
    try:
        subprocess.run(["docker", "logs", "-f", handle.uid], check=True, stdout=subprocess.DEVNULL)
        return total / (perf_counter() - began)
    finally:
        driver.remove(handle)


def by_towline(total: int, line_bytes: int) -> tuple[float, bool]:
    """Bytes a second until they are stored and sealed, as a run worker does it; and whether they are the right ones."""
    from workers.drivers.docker.driver import DockerDriver
    from workers.ending import finish, judge
    from workers.following import Follower
    from workers.grip import Grip

    attempt, driver = _attempt(), DockerDriver()
    handle = driver.start(_spec("towline", total, line_bytes))
    began = perf_counter()
    try:
        follower = Follower(Grip(attempt, driver), handle)
        how = judge(attempt, follower.follow(), driver)
        assert finish(attempt, attempt.fence, how, tally=follower.log.tally)
        speed = total / (perf_counter() - began)
    finally:
        driver.remove(handle)
    attempt.refresh_from_db()
    exact = attempt.log_complete and attempt.log_bytes == total
    exact = exact and attempt.log_sha256 == expected(total, line_bytes)
    attempt.job.delete()
    return speed, exact


def _spec(way: str, total: int, line_bytes: int) -> Any:
    from jobs.models import installation_key
    from workers.drivers.protocol import LABEL_ATTEMPT, LABEL_INSTALLATION, LABEL_JOB, ContainerSpec

    labels = {LABEL_INSTALLATION: installation_key(), LABEL_JOB: way, LABEL_ATTEMPT: "1"}
    name = f"{installation_key()}-bench-{way}-{os.getpid()}"
    return ContainerSpec(name, labels, "towline/demo:1", command(total, line_bytes), network="none", cpus=2.0)


def _attempt() -> Any:
    """Claimed, of a job that nobody else will take."""
    from jobs.models import Attempt
    from jobs.services import submit
    from jobs.spec import parse_spec
    from jobs.states import AttemptState
    from workers import claims
    from workers.models import Worker

    job, _ = submit(parse_spec({"image": "towline/demo:1", "command": ["true"], "timeouts": {"run": 86400}}), None)
    worker, _ = Worker.objects.get_or_create(
        name="run@benchmark", defaults={"boot": "benchmark", "host": "benchmark", "pid": 1, "version": "0", "slots": 1}
    )
    attempt = Attempt.objects.create(
        job=job, number=1, worker=worker.name, runtime="docker", state=AttemptState.ASSIGNED
    )
    claimed = claims.claim(attempt.pk, worker.name, worker.boot)
    assert claimed is not None
    return claimed


class Memory:
    """Watches this process's resident memory, without the pages of files, from a thread."""

    def __init__(self) -> None:
        self.before = self.most = _resident()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._over.wait(0.05):
            self.most = max(self.most, _resident())

    def growth(self) -> int:
        self._over.set()
        self._thread.join()
        return self.most - self.before


def _resident() -> int:
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["RssAnon"].split()[0]) * 1024


def measure(options: argparse.Namespace) -> Measured:
    from django.db import connection

    found = Measured(connection.vendor, options.line_bytes)
    total = options.megabytes * MB
    by_towline(MB, options.line_bytes)  # warm: imports, connections
    for number in range(options.rounds):
        TELL.print(f"round {number + 1} of {options.rounds} …")
        if number % 2:
            found.docker.append(by_docker(total, options.line_bytes))
        speed, exact = by_towline(total, options.line_bytes)
        found.towline.append(speed)
        found.exact = found.exact and exact
        if not number % 2:
            found.docker.append(by_docker(total, options.line_bytes))
    if options.memory_megabytes:
        TELL.print(f"{options.memory_megabytes} MB, looking at the memory …")
        memory, found.memory_log_bytes = Memory(), options.memory_megabytes * MB
        _, exact = by_towline(found.memory_log_bytes, options.line_bytes)
        found.growth, found.exact = memory.growth(), found.exact and exact
    return found


@contextmanager
def database() -> Iterator[None]:
    """DATABASE_URL's, or SQLite in a folder that goes away."""
    folder = tempfile.mkdtemp(prefix="towline-bench-")
    os.environ |= {"TOWLINE_DATA_DIR": folder, "TOWLINE_LOG_LEVEL": "ERROR"}  # there is no Redis to send hints to
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "towline.settings")
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "platform"))
    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def show(found: Measured, console: Console) -> None:
    table = Table(
        title=f"Lines of {found.line_bytes} bytes, into {found.database}", title_justify="left", title_style="bold"
    )
    for head in ("", "MB a second", "× docker logs -f", "noise"):
        table.add_column(head, justify="right" if head else "left")
    table.add_row(
        "docker logs -f > /dev/null", f"{median(found.docker) / MB:.1f}", "1.00", f"±{spread(found.docker) / 2:.0%}"
    )
    share = f"{median(found.shares):.2f}"
    table.add_row("Towline, stored", f"{median(found.towline) / MB:.1f}", share, f"±{spread(found.towline) / 2:.0%}")
    console.print(table)
    if found.memory_log_bytes:
        console.print(f"Memory: {found.growth / MB:.0f} MB more while storing {found.memory_log_bytes // MB} MB")
    for aim, reached in found.aims:
        console.print(f"[{'green' if reached else 'red'}]{'pass' if reached else 'FAIL'}[/]  {aim}")


def as_json(found: Measured) -> dict[str, Any]:
    return {
        "database": found.database,
        "line_bytes": found.line_bytes,
        "share": round(median(found.shares), 3),
        "docker_bytes_per_second": [round(one) for one in found.docker],
        "towline_bytes_per_second": [round(one) for one in found.towline],
        "memory_growth_bytes": found.growth,
        "memory_log_bytes": found.memory_log_bytes,
        "aims": dict(found.aims),
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.collection", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="of both ways (default 5)")
    parser.add_argument("--megabytes", type=int, default=100, help="that each container writes (default 100)")
    parser.add_argument("--line-bytes", type=int, default=100, help="newline included, up to 16384 (default 100)")
    parser.add_argument("--memory-megabytes", type=int, default=2000, help="of the long log; 0: none (default 2000)")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    return parser.parse_args()


def main() -> int:
    options = _options()
    with database():
        from workers.drivers.docker.busybox import ensure_demo_image

        ensure_demo_image(APIClient(**kwargs_from_env()))
        found = measure(options)
    if options.json:
        print(json.dumps(as_json(found), indent=1))
    else:
        show(found, Console())
    return 0 if all(reached for _, reached in found.aims) else 1


if __name__ == "__main__":
    sys.exit(main())
