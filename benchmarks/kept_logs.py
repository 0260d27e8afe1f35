"""Finished logs: how small they get, how fast a page is read and a text found, beside gzip, zstd and grep on the same log.

`python -m benchmarks.kept_logs [--gigabytes 1] [--json]`. Fails when a figure that was promised is not reached.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

RARE = b"watchdog: fencing token 7f3a9c stale"
MISS = "no such thing as a quagga"
ALLOWED = {"page ms": 100.0, "rare s": 1.0, "ratio": 8.0}
BLOCK_LINES = 9000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gigabytes", type=float, default=1.0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tl-kept-") as folder:
        os.environ.update(TOWLINE_DATA_DIR=folder, DJANGO_SETTINGS_MODULE="towline.settings")
        os.environ.pop("DATABASE_URL", None)
        figures = measure(Path(folder), int(options.gigabytes * 1e9))
    if options.json:
        sys.stdout.write(json.dumps(figures) + "\n")
    else:
        show(figures)
    reached = (
        figures["page ms"] < ALLOWED["page ms"],
        figures["rare s"] <= ALLOWED["rare s"] * max(1.0, options.gigabytes),
        figures["ratio"] >= ALLOWED["ratio"],
    )
    return 0 if all(reached) else 1


def measure(folder: Path, size: int) -> dict[str, float]:
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    plain = folder / "plain.log"
    attempt, lines, seconds = keep(plain, size)
    size = plain.stat().st_size
    figures = {
        "bytes": float(size),
        "lines": float(lines),
        "kept bytes": float(attempt.log_object_bytes),
        "ratio": size / attempt.log_object_bytes,
        "pack MB/s": size / 1e6 / seconds,
    }
    return figures | peers(plain, size) | pages(attempt, lines) | searches(attempt)


def keep(plain: Path, size: int) -> tuple[Any, int, float]:
    """A log of about `size` bytes in the storage, and as it is in `plain`; how many lines, and how long keeping it took."""
    from jobs.logs import vault
    from jobs.logs.records import pack
    from jobs.logs.sealed import Writer
    from jobs.models import Attempt
    from jobs.services import submit
    from jobs.spec import parse_spec

    job, _ = submit(parse_spec({"image": "busybox", "command": ["true"]}), None)
    attempt = Attempt.objects.create(job=job, number=1, worker="run@bench", runtime="docker")
    name, first, written, seconds = vault.name_of(attempt), 1, 0, 0.0
    with plain.open("wb") as file, vault.keeping(name) as kept:
        writer = Writer(kept)
        for block in blocks(size):
            data, index, count = pack(block)
            file.write(data)
            began = time.perf_counter()
            writer.add(first, data, index)
            seconds += time.perf_counter() - began
            first, written = first + count, written + len(data)
        kept_bytes = writer.finish()
    attempt.log_object, attempt.log_object_bytes, attempt.log_lines, attempt.log_bytes = (
        name,
        kept_bytes,
        first - 1,
        written,
    )
    attempt.save()
    return attempt, first - 1, seconds


def blocks(size: int) -> Iterator[list[tuple[bytes, str, int]]]:
    """Ordinary output: requests, the steps of a training, a tool's progress; and one line that is like no other."""
    rng, at, made, rare = random.Random(1), 1_900_000_000_000_000_000, 0, False
    while made < size:
        block = []
        for _ in range(BLOCK_LINES):
            at += rng.randrange(10_000, 2_000_000)
            block.append((line(rng, at), "stderr" if rng.random() < 0.05 else "stdout", at))
        if not rare and made > size * 0.7:
            block[BLOCK_LINES // 2], rare = (b"WARN  " + RARE + b"\n", "stderr", at), True
        made += sum(len(each[0]) for each in block)
        yield block


PATHS = [
    f"/api/v1/{what}/{how}" for what in ("items", "users", "orders", "carts") for how in ("", "list", "count", "new")
]
STEPS = ("resolved", "fetched", "unpacked", "linked", "cached", "verified")


def line(rng: random.Random, at: int) -> bytes:
    second, milli = divmod(at // 1_000_000, 1000)
    clock = f"2030-03-17 {second // 3600 % 24:02}:{second // 60 % 60:02}:{second % 60:02}.{milli:03}"
    kind = rng.random()
    if kind < 0.45:
        status = 200 if rng.random() < 0.97 else 404
        return f'{clock} INFO  uvicorn.access: 10.0.3.{rng.randrange(16)} - "GET {rng.choice(PATHS)} HTTP/1.1" {status}\n'.encode()
    if kind < 0.75:
        number, loss = at // 10**8 % 100_000, 2.0 / (1 + at // 10**9 % 1000)
        speed = rng.randrange(900, 940)
        return f"{clock} INFO  trainer: epoch 3 step {number}/100000 loss={loss:.4f} lr=1.00e-04 samples/s={speed}\n".encode()
    package, step, took = rng.randrange(200), rng.choice(STEPS), rng.randrange(20)
    return f"{clock} DEBUG installer: package-{package:03} {step} from the local cache in {took} ms\n".encode()


def pages(attempt: Any, lines: int) -> dict[str, float]:
    """A page of 200 lines deep in the log: the first after the start of a process, and any other."""
    from jobs.logs import vault
    from jobs.logs.reader import read_page

    vault._opened.cache_clear()
    deep = lines * 93 // 100
    cold = timed(lambda: read_page(attempt.pk, start=deep, limit=200))
    rng = random.Random(2)
    warm = [timed(lambda: read_page(attempt.pk, start=rng.randrange(1, lines - 200), limit=200)) for _ in range(50)]
    return {"line": float(deep), "page ms": cold * 1000, "page warm ms": sorted(warm)[25] * 1000}


def searches(attempt: Any) -> dict[str, float]:
    from jobs.logs.query import Query
    from jobs.logs.search import Searched, Wanted, search
    from jobs.models import Attempt

    def found(query: Query) -> tuple[int, Searched]:
        searched = Searched()
        attempts = Attempt.objects.filter(pk=attempt.pk)
        return sum(hit is not None for hit in search(attempts, Wanted(query), searched)), searched

    figures = {}
    rare = RARE.decode()
    wanted = {
        "rare": Query(rare),
        "rare regex": Query(r"fencing token [0-9a-f]+ stale", regex=True),
        "miss": Query(MISS),
    }
    wanted["all read"] = Query("q.a.g.a", regex=True)  # nothing is known of it: no block can be passed over
    for name, query in wanted.items():
        figures[f"{name} s"] = timed(lambda query=query: found(query))
        hits, searched = found(query)
        assert hits == (1 if name.startswith("rare") else 0)
        figures[f"{name} read bytes"] = float(searched.bytes)
    return figures


def peers(plain: Path, size: int) -> dict[str, float]:
    """The same log by the tools at hand."""
    figures = {}
    for name, pack, search in (
        ("gzip", ["gzip", "-6", "-k", "-f"], ["sh", "-c", 'zcat "$1" | grep -c -F "$2"']),
        ("zstd", ["zstd", "-3", "-k", "-f", "-q"], ["sh", "-c", 'zstdcat "$1" | grep -c -F "$2"']),
    ):
        if not shutil.which(pack[0]):
            continue
        figures[f"{name} s"] = timed(lambda pack=pack: subprocess.run([*pack, str(plain)], check=True))
        packed = plain.with_name(plain.name + (".gz" if name == "gzip" else ".zst"))
        figures[f"{name} ratio"] = size / packed.stat().st_size
        asked = [*search, "sh", str(packed), RARE.decode()]
        figures[f"{name} | grep s"] = timed(
            lambda asked=asked: subprocess.run(asked, check=True, stdout=subprocess.DEVNULL)
        )
        packed.unlink()
    plain_grep = ["grep", "-c", "-F", RARE.decode(), str(plain)]
    figures["grep s"] = timed(lambda: subprocess.run(plain_grep, check=True, stdout=subprocess.DEVNULL))
    return figures


def timed(what: Callable[[], Any]) -> float:
    began = time.perf_counter()
    what()
    return time.perf_counter() - began


def show(figures: dict[str, float]) -> None:
    table = Table("figure", "value", title="A finished log in the storage")
    for name, value in figures.items():
        table.add_row(name, f"{value:,.0f}" if value >= 1000 else f"{value:.3g}")
    Console().print(table)


if __name__ == "__main__":
    sys.exit(main())
