"""The container runtime of the node: real processes with their logs. It goes on when the kubelet or the API server does not."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import signal
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

from . import roots
from .cgroups import Cgroups
from .faults import Switchboard
from .spawn import Bind, Plan, Spawned, spawn
from .writing import LogFile

START_ERROR = (
    "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: "
    "unable to start container process: {}: unknown"
)
READ_BYTES = 256 * 1024


class StartError(Exception):
    """The sentence of the runtime."""


@dataclass
class Container:
    id: str
    uid: str  # of the pod
    name: str
    folder: Path
    log: LogFile
    pid: int = 0
    cgroups: tuple[Path, ...] = ()
    started_at: float = 0.0
    finished_at: float = 0.0
    exit_code: int | None = None
    oom_killed: bool = False
    error: str = ""
    done: asyncio.Event = field(default_factory=asyncio.Event)
    lost: bool = False  # with its log: that is what eviction does

    @property
    def over(self) -> bool:
        return self.done.is_set()

    def signal(self, number: int) -> None:
        if self.pid and not self.over:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


class Runtime:
    def __init__(self, data: Path, faults: Switchboard, *, log_bytes: int, log_files: int) -> None:
        self.data, self.faults = data, faults
        self.log_bytes, self.log_files = log_bytes, log_files
        self.bin = roots.make_bin(data / "bin")
        self.containers: dict[tuple[str, str], Container] = {}
        self.cgroups = Cgroups()
        self.following: set[asyncio.Task[None]] = set()

    def now(self) -> float:
        return time.time() + self.faults.skew_seconds

    def pod_folder(self, uid: str) -> Path:
        return self.data / "pods" / uid

    def make(self, uid: str, name: str) -> Container:
        folder = self.pod_folder(uid) / name
        log = LogFile(folder / "log", self.faults, most_bytes=self.log_bytes, kept=self.log_files)
        made = Container(secrets.token_hex(32), uid, name, folder, log)
        self.containers[uid, name] = made
        return made

    async def start(self, container: Container, plan: Plan, memory: int | None) -> None:
        """Raises `StartError`; the container is over then."""
        try:
            roots.make_root(plan.root)
            binds = [Bind(self.bin, "/bin", read_only=True), *plan.binds]
            for bind in binds:
                others = [each for each in binds if each is not bind]
                roots.make_target(_outside(plan.root, bind.target, others), bind.source)
            _make_working_dir(plan)
            container.cgroups = self.cgroups.make(container.id[:12], memory)
            spawned = spawn(replace(plan, binds=binds, cgroups=container.cgroups))
            container.pid, container.started_at = spawned.pid, self.now()
            await self._follow(container, spawned)
        except (OSError, StartError) as error:
            container.error = START_ERROR.format(error)
            container.exit_code, container.started_at, container.finished_at = 128, 0.0, self.now()
            container.done.set()
            raise StartError(container.error) from error

    async def _follow(self, container: Container, spawned: Spawned) -> None:
        loop = asyncio.get_running_loop()
        failure = await _read_all(spawned.failure)
        drained = [loop.create_future() for _ in spawned.outputs]
        for (stream, fd), future in zip(spawned.outputs, drained, strict=True):
            os.set_blocking(fd, False)
            loop.add_reader(fd, self._drain, container, stream, fd, future)
        task = loop.create_task(self._end(container, drained))
        self.following.add(task)
        task.add_done_callback(self.following.discard)
        if failure:
            await container.done.wait()
            raise StartError(failure.decode())

    def _drain(self, container: Container, stream: str, fd: int, drained: asyncio.Future[None]) -> None:
        try:
            data = os.read(fd, READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""  # a terminal whose other side was closed
        if data:
            container.log.feed(stream, data)
            return
        asyncio.get_running_loop().remove_reader(fd)
        os.close(fd)
        container.log.end(stream)
        if not drained.done():
            drained.set_result(None)

    async def _end(self, container: Container, drained: list[asyncio.Future[None]]) -> None:
        code = await _exit_code(container.pid)
        container.finished_at = self.now()
        await asyncio.wait(drained, timeout=5)
        container.exit_code = code if code >= 0 else 128 - code
        container.oom_killed = Cgroups.oom_kills(container.cgroups) > 0
        Cgroups.remove(container.cgroups)
        container.done.set()
        container.log.close()

    async def kill(self, container: Container, grace: float) -> None:
        """TERM, and KILL when it has not ended after so many seconds."""
        if container.over:
            return
        container.signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(container.done.wait(), max(grace, 0.05))
        except TimeoutError:
            container.signal(signal.SIGKILL)
            await container.done.wait()

    def forget(self, uid: str) -> None:
        """With logs and all."""
        for key in [key for key in self.containers if key[0] == uid]:
            self.containers.pop(key)
        shutil.rmtree(self.pod_folder(uid), ignore_errors=True)

    async def close(self) -> None:
        for container in self.containers.values():
            container.signal(signal.SIGKILL)
        if self.following:
            await asyncio.wait(self.following, timeout=5)
        self.cgroups.close()


def _make_working_dir(plan: Plan) -> None:
    """As runc does, also in a volume; the folder is root's."""
    if plan.cwd.startswith("/bin/"):
        raise StartError(f"error during container init: mkdir {plan.cwd}: not a directory")
    try:
        _outside(plan.root, plan.cwd, plan.binds).mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise StartError(f"error during container init: mkdir {plan.cwd}: not a directory") from error


def _outside(root: Path, path: str, binds: list[Bind]) -> Path:
    """Where on this machine a path of the container is: in its root folder, or in what is mounted around it."""
    around = [each for each in binds if path == each.target or path.startswith(f"{each.target}/")]
    if not around:
        return root / path.lstrip("/")
    outer = max(around, key=lambda each: len(each.target))
    return outer.source / path[len(outer.target) :].lstrip("/")


async def _read_all(fd: int) -> bytes:
    """To the end, without holding up others."""
    loop, said, ended = asyncio.get_running_loop(), bytearray(), asyncio.Event()

    def read() -> None:
        data = os.read(fd, 4096)
        said.extend(data)
        if not data:
            ended.set()

    loop.add_reader(fd, read)
    await ended.wait()
    loop.remove_reader(fd)
    os.close(fd)
    return bytes(said)


async def _exit_code(pid: int) -> int:
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    fd = os.pidfd_open(pid)
    loop.add_reader(fd, ended.set)
    await ended.wait()
    loop.remove_reader(fd)
    os.close(fd)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])  # noqa: ASYNC222 - it has ended
