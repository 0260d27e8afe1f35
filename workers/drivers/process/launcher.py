"""Starting a job's shim, once: under the folder's lock, which the shim inherits and keeps."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from workers.drivers.process import files, shim
from workers.drivers.process.folder import Folder
from workers.drivers.protocol import Unavailable

START_SECONDS = 15.0


def start_once(folder: Folder, consent: Callable[[], None]) -> None:
    """Returns when the start is on the disk, whoever made it. Raises `Unavailable` if that takes too long.

    `consent` is asked with the lock held: who is held up there holds up everybody else, too.
    """
    limit = time.monotonic() + START_SECONDS
    while not folder.has(files.STARTED):
        with folder.locked() as lock:
            if lock is not None and not folder.has(files.STARTED):
                consent()
                _start_shim(folder, lock)
                return
        if time.monotonic() > limit:
            raise Unavailable(f"{folder.name}: another process holds its lock and does not start it")
        time.sleep(0.005)


def _start_shim(folder: Folder, lock: int) -> None:
    """The control FIFO is opened here and inherited, so an order given right after the start is not lost."""
    control = os.open(folder.path / files.CONTROL, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    log = os.open(folder.path / files.SHIM_LOG, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        done = _run(folder.path, lock, control, log)
    finally:
        os.close(control)
        os.close(log)
    if done != 0:
        raise Unavailable(f"{folder.name}: the shim did not start: {_last_words(folder)}")


def _run(path: Path, lock: int, control: int, log: int) -> int:
    """Nothing of ours goes along but these: no environment, and so no secrets, no terminal, no other descriptors."""
    try:
        return subprocess.run(
            [sys.executable, "-I", "-S", str(shim.__file__), str(path), str(lock), str(control)],
            env={},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            pass_fds=(lock, control),
            start_new_session=True,
            check=False,
            timeout=START_SECONDS,
        ).returncode
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"{path.name}: the shim takes too long to start") from error


def _last_words(folder: Folder) -> str:
    lines = (folder.path / files.SHIM_LOG).read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"
