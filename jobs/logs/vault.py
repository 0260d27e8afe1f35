"""Where sealed logs lie: `STORAGES["logs"]`, a folder or a bucket. Read by ranges, written whole."""

from __future__ import annotations

import os
import posixpath
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

from django.conf import settings
from django.core.files import File
from django.core.files.storage import FileSystemStorage, Storage, storages

from jobs.models import Attempt

from .sealed import Broken, Sealed

OPENED_MOST = 128  # tables kept in memory, about 100 bytes a MiB of log


class Unreadable(Exception):
    """The storage does not give the log: it is away, or the log is. Says which, and what to do."""


def name_of(attempt: Attempt) -> str:
    """Always the same, so that whoever packs the log again writes over the same place."""
    return f"{attempt.created_at:%Y/%m/%d}/{attempt.job_id}-a{attempt.number}.tlog"


def opened(attempt: Attempt) -> Sealed:
    """Raises `Unreadable`."""
    with _telling(attempt.log_object):
        return _opened(attempt.log_object, attempt.log_object_bytes)


@lru_cache(OPENED_MOST)
def _opened(name: str, size: int) -> Sealed:
    return Sealed(lambda start, length: fetch(name, start, length), size)


def fetch(name: str, start: int, length: int) -> bytes:
    """So many bytes of the file from there on; fewer at its end. Raises `Unreadable`."""
    with _telling(name):
        return _fetch(name, start, length) if length else b""


def _fetch(name: str, start: int, length: int) -> bytes:
    storage = storages["logs"]
    if isinstance(storage, FileSystemStorage):
        with Path(storage.path(name)).open("rb", buffering=0) as file:
            return os.pread(file.fileno(), length, start)
    if hasattr(storage, "bucket_name"):
        asked = {
            "Bucket": storage.bucket_name,
            "Key": _key(storage, name),
            "Range": f"bytes={start}-{start + length - 1}",
        }
        body: bytes = _s3(storage).get_object(**asked)["Body"].read()
        return body
    with storage.open(name) as file:
        file.seek(start)
        return bytes(file.read(length))


@contextmanager
def keeping(name: str) -> Iterator[BinaryIO]:
    """A file to write, which is there under its name, whole, when the block is left without an error."""
    storage = storages["logs"]
    if isinstance(storage, FileSystemStorage):
        target = Path(storage.path(name))
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.NamedTemporaryFile(dir=target.parent, prefix=".", delete=False) as file:
            try:
                yield file  # type: ignore[misc]  # a file in all but name
                file.flush()
                os.fsync(file.fileno())
                Path(file.name).replace(target)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise
        return
    with tempfile.TemporaryFile(dir=settings.TOWLINE.TOWLINE_DATA_DIR) as file:
        yield file
        file.seek(0)
        with _telling(name):
            storage.delete(name)
            storage.save(name, File(file, name))


@contextmanager
def _telling(name: str) -> Iterator[None]:
    """Whatever storage it is: what it raises when it can't becomes `Unreadable`."""
    try:
        yield
    except _trouble() as error:
        raise Unreadable(
            f"The log storage does not give {name} ({type(error).__name__}: {str(error)[:200]}): see that "
            "TOWLINE_LOG_STORAGE names the right place, the same for all processes, and that it answers."
        ) from error


def remove(name: str) -> None:
    """Missing is as good."""
    storages["logs"].delete(name)


def _trouble() -> tuple[type[Exception], ...]:
    """What a storage raises when it can't."""
    try:
        from botocore.exceptions import BotoCoreError, ClientError
    except ImportError:
        return (Broken, OSError)
    return (Broken, OSError, BotoCoreError, ClientError)


def _s3(storage: Storage) -> Any:
    return storage.connection.meta.client  # type: ignore[attr-defined]  # of django-storages


def _key(storage: Storage, name: str) -> str:
    return posixpath.join(storage.location, name).lstrip("/")  # type: ignore[attr-defined]
