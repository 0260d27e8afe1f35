"""A Towline of the benchmark's own: `manage.py up` on defaults, in a data folder that goes away with it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

MANAGE = Path(__file__).resolve().parent.parent / "manage.py"
STOP_SECONDS = 40


@dataclass(frozen=True)
class Doors:
    url: str
    token: str
    folder: Path
    pid: int


@contextmanager
def platform(*, runtime: str = "docker", slots: int = 8, keep: bool = False, **settings: str) -> Iterator[Doors]:
    """Up and ready on that runtime. `keep` leaves its folder, for its logs and its database."""
    folder = Path(tempfile.mkdtemp(prefix="towline-bench-"))
    settings |= {
        "TOWLINE_DATA_DIR": str(folder),
        "TOWLINE_RUNTIMES": runtime,
        "TOWLINE_SLOTS": str(slots),
        "TOWLINE_WORKER_NAME": f"run@{folder.name}",
    }
    argv = [sys.executable, str(MANAGE), "up", "--json", "--port", "0", "--no-flower"]
    with (folder / "up.log").open("w") as told:
        process = subprocess.Popen(argv, env=os.environ | settings, stdout=subprocess.PIPE, stderr=told, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"the platform did not come up: {(folder / 'up.log').read_text()}")
        doors = json.loads(line)
        yield Doors(doors["url"], doors["token"], folder, process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(STOP_SECONDS)
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)
