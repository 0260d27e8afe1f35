"""A job's folder from the driver's side: made whole, locked to start, asked, told to stop, thrown away."""

from __future__ import annotations

import fcntl
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from workers.drivers.process import files
from workers.drivers.protocol import ContainerSpec

DRAFTS = ".drafts"  # folders on their way in or out
STALE_SECONDS = 3600
RESERVE_BYTES = 16 * 1024


class Folder:
    """`<root>/<name>`. Nothing is remembered: every question goes to the disk."""

    def __init__(self, root: Path, name: str) -> None:
        self.root = root
        self.path = root / name
        self.name = name

    def read(self, file: str) -> dict[str, Any] | None:
        return files.read_json(str(self.path / file))

    def has(self, file: str) -> bool:
        return (self.path / file).exists()

    def is_there(self) -> bool:
        """Ours or not."""
        return os.path.lexists(self.path)

    def make(self, spec: ContainerSpec, launch: dict[str, Any]) -> None:
        """Come to be with everything in it, or find that the name is taken: then change nothing.

        The rename is the one decision. It would replace an empty folder, so one of those is asked for first.
        """
        if self.is_there():
            return
        _sweep(self.root / DRAFTS)
        draft = self._draft()
        draft.mkdir(mode=0o711)
        _fill(draft, spec, launch)
        try:
            draft.rename(self.path)
        except OSError:  # ENOTEMPTY, EEXIST or ENOTDIR, by file system
            shutil.rmtree(draft, ignore_errors=True)
            if not self.is_there():
                raise
        files.sync_folder(str(self.root))

    def is_live(self) -> bool:
        """Whether a shim (or someone about to start one) is there. No pid and no reboot can fake the lock."""
        try:
            with self._open_lock() as fd:
                fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except FileNotFoundError:
            return False
        return False

    @contextmanager
    def locked(self) -> Iterator[int | None]:
        """The lock's descriptor, or None if another has it. Inherited by the shim, it stays locked when we close it."""
        with self._open_lock() as fd:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield None
            else:
                yield fd

    def tell(self, order: bytes) -> None:
        """To the shim, if there is one."""
        with suppress(OSError):  # ENXIO: nobody reads; ENOENT: gone; EAGAIN: it has plenty of orders already
            fd = os.open(self.path / files.CONTROL, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                os.write(fd, order)
            finally:
                os.close(fd)

    def throw_away(self) -> None:
        """At once for everyone else, even if deleting takes long or fails half-way."""
        draft = self._draft()
        try:
            self.path.rename(draft)
        except FileNotFoundError:
            return
        _delete(draft)

    def _draft(self) -> Path:
        (self.root / DRAFTS).mkdir(mode=0o711, parents=True, exist_ok=True)
        return self.root / DRAFTS / uuid.uuid4().hex

    @contextmanager
    def _open_lock(self) -> Iterator[int]:
        fd = os.open(self.path / files.LOCK, os.O_RDWR | os.O_CLOEXEC)
        try:
            yield fd
        finally:
            os.close(fd)


def _fill(draft: Path, spec: ContainerSpec, launch: dict[str, Any]) -> None:
    (draft / files.LOCK).touch(mode=0o600)
    os.mkfifo(draft / files.CONTROL, mode=0o600)
    (draft / files.RESERVE).write_bytes(bytes(RESERVE_BYTES))
    if spec.script is not None:
        _write(draft / files.SCRIPT, spec.script, mode=0o500)
    if spec.stdin is not None:
        _write(draft / files.STDIN, spec.stdin, mode=0o600)
    files.write_json(str(draft / files.LAUNCH), launch)
    identity = {
        "uid": uuid.uuid4().hex,
        "labels": dict(spec.labels),
        "image": spec.image,
        "memory_bytes": spec.memory_bytes,
        "created_at_ns": time.time_ns(),
    }
    files.write_json(str(draft / files.IDENTITY), identity)


def _write(path: Path, text: str, mode: int) -> None:
    path.touch(mode=0o600)
    path.write_bytes(text.encode())
    path.chmod(mode)


def _delete(path: Path) -> None:
    """Also what the job has locked against itself."""
    with suppress(OSError):
        shutil.rmtree(path)
        return
    for parent, folders, _ in os.walk(path):  # enters them only after we had our turn
        for folder in (Path(parent, each) for each in folders):
            if not folder.is_symlink():
                with suppress(OSError):
                    folder.chmod(0o700)
    shutil.rmtree(path, ignore_errors=True)


def _sweep(drafts: Path) -> None:
    """What a killed worker left half-way."""
    with suppress(FileNotFoundError):
        for draft in drafts.iterdir():
            with suppress(FileNotFoundError):
                if time.time() - draft.stat().st_ctime > STALE_SECONDS:
                    _delete(draft)
