"""Bringing an export somewhere: to stdout, into a file that is only there once it is whole, or into a bucket."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from django.core.exceptions import ImproperlyConfigured
from django.core.files.base import File
from django.core.files.storage import InvalidStorageError, Storage, storages
from django.db import DatabaseError

from .chosen import ExportBroken

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

PART_BYTES = 16 * 1024**2  # a bucket takes ten thousand of them for one object
NEEDS_S3 = "s3:// needs the extra `s3`: pip install 'towline[s3]'"


def deliver(pieces: Iterator[bytes], output: str) -> None:
    """`output`: `-`, `s3://bucket/key`, or a path. ExportBroken says what is in the way."""
    if output == "-":
        for piece in pieces:
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
    elif output.startswith("s3://"):
        to_bucket(pieces, output)
    else:
        to_file(pieces, Path(output))


def to_file(pieces: Iterator[bytes], path: Path) -> None:
    """Under another name until it is whole: half an export is never taken for one."""
    unfinished = path.with_name(f"{path.name}.part")
    try:
        with unfinished.open("wb") as file:
            file.writelines(pieces)
        unfinished.replace(path)
    except OSError as error:
        raise ExportBroken(f"{path}: {error.strerror or error}") from error
    finally:
        unfinished.unlink(missing_ok=True)


def to_bucket(pieces: Iterator[bytes], address: str) -> None:
    """A part at a time, from memory. The object is there once all of them are; endpoint and credentials: `AWS_*`."""
    match = re.fullmatch(r"s3://([a-z0-9][a-z0-9.-]+)/([^/\s][^\s]*)", address)
    if not match:
        raise ExportBroken(f"{address}: write it as s3://bucket/key")
    bucket = _bucket(match[1])
    try:
        bucket.save(match[2], File(io.BufferedReader(Pieces(pieces)), match[2]))
    except (ExportBroken, DatabaseError):
        raise
    except Exception as error:
        # The client's errors have no base that could be named without it.
        raise ExportBroken(f"{address}: {error}") from error


def _bucket(name: str) -> Storage:
    try:
        from boto3.s3.transfer import TransferConfig

        # Without threads the pieces are read in this one, which has the database's connection.
        transfer = TransferConfig(use_threads=False, multipart_chunksize=PART_BYTES, multipart_threshold=PART_BYTES)
        options = {"bucket_name": name, "file_overwrite": True, "transfer_config": transfer}
        return storages.create_storage({"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": options})
    except (ImportError, ImproperlyConfigured, InvalidStorageError) as error:
        raise ExportBroken(NEEDS_S3) from error


class Pieces(io.RawIOBase):
    """The pieces as a file that is read once, for whoever asks for so many bytes at a time."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """0 at the end."""
        room = memoryview(buffer)
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = memoryview(piece)
        count = min(len(room), len(self._rest))
        room[:count], self._rest = self._rest[:count], self._rest[count:]
        return count
