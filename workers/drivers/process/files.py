"""The files of a job's folder: their names, and JSON that is there whole or not at all. Shared with the shim."""

# The shim does without pathlib: 5 ms and a megabyte.
# ruff: noqa: PTH105, PTH120, PTH123
from __future__ import annotations

import json
import os
from typing import Any

IDENTITY = "identity.json"  # who it is: uid, labels; written once
LAUNCH = "launch.json"  # how to run it, secrets included; gone as soon as it has started
STARTED = "started.json"  # it was started: never again
EXIT = "exit.json"  # how it ended
OUTPUT = "output"  # records, see `records`
LOCK = "lock"  # held by whoever starts it, then by the shim as long as one of its processes lives
CONTROL = "control"  # a FIFO that the shim reads: ASK or KILL
PEAK = "peak"  # highest memory seen, bytes, as text
SCRIPT = "script"
STDIN = "stdin"
WORK = "work"  # the working directory of a job that names none
RESERVE = "reserve"  # some space for the exit, should the disk be full by then
SHIM_LOG = "shim.log"  # what the shim itself had to say: empty if all is well

ASK = b"T"
KILL = b"K"


def write_json(path: str, data: dict[str, Any]) -> None:
    """Replace `path` at once, on the disk when this returns."""
    draft = f"{path}.{os.getpid()}"
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(fd, "wb") as file:
        file.write(json.dumps(data).encode())
        file.flush()
        os.fsync(fd)
    os.replace(draft, path)
    sync_folder(os.path.dirname(path))


def read_json(path: str) -> dict[str, Any] | None:
    """None if there is none."""
    try:
        with open(path, "rb") as file:
            data = json.loads(file.read())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return data if isinstance(data, dict) else None


def sync_folder(path: str) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
