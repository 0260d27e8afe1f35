"""The log sub-resource of pods, with the manners of the kubelet: it reads the newest file only, and follows to the end."""

from __future__ import annotations

import json
import os
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from . import stamps
from .problems import Problem, invalid
from .store import Object
from .writing import LogFile

CHUNK = 256 * 1024
STREAMS = ("All", "Stdout", "Stderr")
LOOK_SECONDS = 1.0  # after how long without news the kubelet looks whether the container still runs


class Source(Protocol):
    """A container, as far as its log goes."""

    id: str
    log: LogFile
    lost: bool

    @property
    def over(self) -> bool: ...


class Node(Protocol):
    """Where the logs are."""

    name: str
    kubelet_runs: bool

    def container(self, uid: str, name: str) -> Source | None: ...
    def replayed(self, uid: str) -> str | None: ...


@dataclass(frozen=True)
class Options:
    follow: bool
    timestamps: bool
    since_ns: int
    tail: int | None
    limit: int | None
    stream: str

    @classmethod
    def of(cls, pod: str, query: dict[str, str], now_ns: int) -> Options:
        causes = []
        since = 0
        if "sinceSeconds" in query and "sinceTime" in query:
            causes.append(("", "Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified"))
        elif "sinceSeconds" in query:
            since = now_ns - int(query["sinceSeconds"]) * 10**9
        elif query.get("sinceTime"):
            since = _since(query["sinceTime"])
        tail = int(query["tailLines"]) if "tailLines" in query else None
        limit = int(query["limitBytes"]) if "limitBytes" in query else None
        if tail is not None and tail < 0:
            causes.append(("tailLines", f"Invalid value: {tail}: must be greater than or equal to 0"))
        if limit is not None and limit < 1:
            causes.append(("limitBytes", f"Invalid value: {limit}: must be greater than 0"))
        if causes:
            raise invalid("PodLogOptions", "", *causes)
        flags = [query.get(name) in ("true", "1") for name in ("follow", "timestamps")]
        return cls(flags[0], flags[1], since, tail, limit, query.get("stream", "All"))


def _since(text: str) -> int:
    try:
        return stamps.nanoseconds(text) // 10**9 * 10**9  # whole seconds: all that metav1.Time keeps
    except ValueError as error:
        raise Problem(400, f"invalid sinceTime: {error}") from error


class Logs:
    def __init__(self, node: Node, faults: Any) -> None:
        self.node, self.faults = node, faults

    async def read(self, pod: Object, query: dict[str, str]) -> AsyncIterator[bytes]:
        name, uid = pod["metadata"]["name"], pod["metadata"]["uid"]
        container = self._container_name(pod, query.get("container"))
        query = self._checked(name, query)
        options = Options.of(name, query, time.time_ns() + int(self.faults.skew_seconds * 10**9))
        if not pod["spec"].get("nodeName"):
            yield b""  # that is what is said of a pod that is nowhere
            return
        self._reach(pod, container, query)
        if (replayed := self.node.replayed(uid)) is not None:
            yield _replay(replayed, options)
            return
        source = self.node.container(uid, container)
        if source is None or not _was_started(pod, container):
            raise _waiting(pod, container)
        if source.lost or name in self.faults.lost_logs:
            yield f"unable to retrieve container logs for containerd://{source.id}".encode()
            return
        async for data in _limited(self._lines(source, options, pod), options.limit):
            yield data

    def _checked(self, name: str, query: dict[str, str]) -> dict[str, str]:
        """Without `stream` where nobody knows it; refused where it is known and not offered, or asked for wrongly."""
        stream, dropped = query.get("stream"), self.faults.streams_dropped
        rest = {key: value for key, value in query.items() if key != "stream"}
        if stream is None or dropped == "api":
            return rest
        if not self.faults.streams_offered:
            raise invalid("PodLogOptions", name, ("stream", "Forbidden: may not be specified"))
        if stream not in STREAMS:
            said = f'Unsupported value: "{stream}": supported values: "All", "Stderr", "Stdout"'
            raise invalid("PodLogOptions", name, ("stream", said))
        if stream != "All" and "tailLines" in query:
            said = "Forbidden: `tailLines` and specific `stream` are mutually exclusive for now"
            raise invalid("PodLogOptions", name, ("", said))
        return rest if dropped else query

    @staticmethod
    def _container_name(pod: Object, asked: str | None) -> str:
        names = [each["name"] for each in pod["spec"]["containers"]]
        if asked and asked not in names:
            raise Problem(400, f"container {asked} is not valid for pod {pod['metadata']['name']}")
        if not asked and len(names) > 1:
            said = f"a container name must be specified for pod {pod['metadata']['name']}, choose one of: [{' '.join(names)}]"
            raise Problem(400, said)
        return asked or names[0]

    def _reach(self, pod: Object, container: str, query: dict[str, str]) -> None:
        if not self.node.kubelet_runs:
            path = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}/{container}"
            asked = "&".join(f"{key}={value}" for key, value in sorted(query.items()) if key != "container")
            said = f'Get "https://{self.node.name}:10250/containerLogs/{path}{"?" + asked if asked else ""}": '
            raise Problem(500, said + "dial tcp 127.0.0.1:10250: connect: connection refused", "")

    async def _lines(self, source: Source, options: Options, pod: Object) -> AsyncIterator[bytes]:
        log, rotations = source.log, source.log.rotations
        reader = Reader(log.path, options)
        try:
            while True:
                over = source.over
                while data := reader.more():
                    yield data
                if not options.follow or not self.node.kubelet_runs:
                    return
                if log.rotations != rotations:
                    if self.faults.follow_ends_at_rotation:
                        return
                    rotations = log.rotations
                    reader.reopen(log.path)
                elif over:
                    return
                else:
                    await log.written.wait(LOOK_SECONDS)
        finally:
            reader.close()


class Reader:
    """Goes through one log file, as far as it was written."""

    def __init__(self, path: Path, options: Options) -> None:
        self.options = options
        self.at_line_start = True
        self.rest = b""
        self.file = path.open("rb")
        if options.tail is not None:
            self.file.seek(_tail(path, options.tail))

    def reopen(self, path: Path) -> None:
        self.file.close()
        self.file, self.rest = path.open("rb"), b""

    def close(self) -> None:
        self.file.close()

    def more(self) -> bytes:
        """Empty at the end of what there is now."""
        while data := os.read(self.file.fileno(), CHUNK):
            *lines, self.rest = (self.rest + data).split(b"\n")
            if told := b"".join(self._told(lines)):
                return told
        return b""

    def _told(self, lines: list[bytes]) -> Iterator[bytes]:
        for line in lines:
            at, stream, tag, content = line.split(b" ", 3)
            at_ns = stamps.nanoseconds(at.decode()) if self.options.since_ns else 0
            if at_ns >= self.options.since_ns and self._wants(stream):
                yield (at + b" " if self.options.timestamps and self.at_line_start else b"") + content
                if tag == b"F":
                    yield b"\n"
            self.at_line_start = tag == b"F"

    def _wants(self, stream: bytes) -> bool:
        return self.options.stream in ("", "All") or self.options.stream.lower().encode() == stream


def _tail(path: Path, lines: int) -> int:
    """Where the last so many lines of the file begin; parts are lines to it."""
    data = path.read_bytes()
    at = len(data)
    for _ in range(lines + 1):
        at = data.rfind(b"\n", 0, at)
        if at < 0:
            return 0
    return at + 1


async def _limited(pieces: AsyncIterator[bytes], limit: int | None) -> AsyncIterator[bytes]:
    left = limit
    async for data in pieces:
        if left is None:
            yield data
            continue
        yield data[:left]
        left -= len(data)
        if left <= 0:
            return


def _was_started(pod: Object, container: str) -> bool:
    statuses = pod["status"].get("containerStatuses") or ()
    return any(each["name"] == container and "waiting" not in each["state"] for each in statuses)


def _waiting(pod: Object, container: str) -> Problem:
    statuses = pod["status"].get("containerStatuses") or ()
    state: Object | None = next((each["state"] for each in statuses if each["name"] == container), None)
    if state is None:
        return Problem(400, f'container "{container}" in pod "{pod["metadata"]["name"]}" is not available')
    reason = state.get("waiting", {}).get("reason", "ContainerCreating")
    said = "trying and failing to pull image" if reason in ("ErrImagePull", "ImagePullBackOff") else reason
    return Problem(400, f'container "{container}" in pod "{pod["metadata"]["name"]}" is waiting to start: {said}')


def _replay(text: str, options: Options) -> bytes:
    """The recorded log, with its stamps or without; a recorded error as an error."""
    if text.startswith("ERR "):
        status = json.loads(text[4:])
        raise Problem(status["code"], status["message"], status.get("reason", ""))
    if options.timestamps or text.startswith("unable to retrieve"):
        return text.encode()
    return b"".join(line.partition(b" ")[2] for line in text.encode().splitlines(keepends=True))
