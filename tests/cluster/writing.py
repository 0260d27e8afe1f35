"""The log file of a container as containerd writes it, one line for each line or part of one; rotated as the kubelet does it."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import BinaryIO

from . import stamps
from .faults import Signal, Switchboard

PART_BYTES = 16 * 1024


class LogFile:
    def __init__(self, folder: Path, faults: Switchboard, *, most_bytes: int, kept: int) -> None:
        self.folder, self.faults, self.most_bytes, self.kept = folder, faults, most_bytes, kept
        self.folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "0.log"
        self.rest: dict[str, bytes] = {}
        self.rotations = 0
        self.written = Signal()
        self.file: BinaryIO = self.path.open("ab", buffering=0)
        self.size = 0

    def feed(self, stream: str, data: bytes) -> None:
        *whole, rest = (self.rest.get(stream, b"") + data).split(b"\n")
        said = [piece for line in whole for piece in self._pieces(stream, line, b"F")]
        while len(rest) > PART_BYTES:
            said.append(self._line(stream, rest[:PART_BYTES], b"P"))
            rest = rest[PART_BYTES:]
        self.rest[stream] = rest
        self._write(said)

    def end(self, stream: str) -> None:
        """What has no newline at its end stays a part of a line."""
        if rest := self.rest.pop(stream, b""):
            self._write([self._line(stream, rest, b"P")])

    def close(self) -> None:
        self.file.close()
        self.written.ring()

    def _pieces(self, stream: str, line: bytes, last: bytes) -> list[bytes]:
        cuts = range(0, max(len(line), 1), PART_BYTES)
        return [
            self._line(stream, line[at : at + PART_BYTES], last if at + PART_BYTES >= len(line) else b"P")
            for at in cuts
        ]

    def _line(self, stream: str, content: bytes, tag: bytes) -> bytes:
        at = stamps.nano(time.time_ns() + int(self.faults.skew_seconds * 10**9))
        return b"%s %s %s %s\n" % (at.encode(), stream.encode(), tag, content)

    def _write(self, lines: list[bytes]) -> None:
        for begin in range(0, len(lines), 500):
            data = b"".join(lines[begin : begin + 500])
            os.write(self.file.fileno(), data)
            self.size += len(data)
            if self.size > self.most_bytes:
                self._rotate()
        if lines:
            self.written.ring()

    def _rotate(self) -> None:
        self.file.close()
        self.rotations += 1
        self.path.rename(self.folder / f"0.log.{self.rotations:06d}")
        for old in sorted(self.folder.glob("0.log.*"))[: -(self.kept - 1) or None]:
            old.unlink()
        self.file = self.path.open("ab", buffering=0)
        self.size = 0
