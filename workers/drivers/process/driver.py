"""The process driver: the protocol's operations over folders and shims. Keeps no state but where the folders are."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jobs.failpoints import reach
from jobs.verdicts import Verdict
from workers.drivers.output import Missing, Output
from workers.drivers.process import engine, files, subtree
from workers.drivers.process.border import border
from workers.drivers.process.folder import Folder
from workers.drivers.process.judge import judge
from workers.drivers.process.launcher import start_once
from workers.drivers.process.plan import NAME, plan
from workers.drivers.process.tail import Tail
from workers.drivers.protocol import (
    LABEL_ATTEMPT,
    LABEL_INSTALLATION,
    LABEL_JOB,
    Consent,
    ContainerSpec,
    Engine,
    Handle,
    Observation,
    Phase,
    Refused,
    RunningProcess,
    Unavailable,
    Usage,
    unasked,
)

SILENCE_SECONDS = 5.0  # after which `logs` lets its caller look around
KILL_SECONDS = 10.0  # how long `remove` waits for the kill to be over
POLL_SECONDS = (0.005, 0.05)


class ProcessDriver:
    """Jobs as folders under `root`, which is made if missing. Any number of drivers may share one."""

    name = "process"

    def __init__(self, root: Path) -> None:
        with border():
            root.mkdir(mode=0o711, parents=True, exist_ok=True)
            self.root = root.resolve()
            self.place = engine.place_of(self.root)

    def start(self, spec: ContainerSpec, consent: Consent = unasked) -> Handle:
        launch = plan(spec)
        folder = Folder(self.root, spec.name)
        with border():
            if not folder.is_there():
                consent(None)
                folder.make(spec, launch)
            identity = _require_ours(folder, spec.labels)
            reach("created")
            handle = self._handle(spec.name, identity)
            start_once(folder, lambda: consent(handle))
        return handle

    def inspect(self, handle: Handle) -> Observation:
        self._require_here(handle)
        seen = self._look(handle.name)
        if seen is None or seen.handle.uid != handle.uid:
            return Observation(handle, Phase.GONE)
        return seen

    def find(self, name: str) -> Observation | None:
        seen = self._look(name)
        return seen if seen and LABEL_INSTALLATION in seen.labels else None

    def survey(self, installation: str) -> Iterator[Observation]:
        with border():
            names = sorted(each.name for each in self.root.iterdir())
        for name in names:
            seen = self._look(name)
            if seen and seen.labels.get(LABEL_INSTALLATION) == installation:
                yield seen

    def logs(self, handle: Handle, after: str | None) -> Iterator[Output]:
        if self.inspect(handle).phase is Phase.GONE:
            yield Missing("removed")
            return
        with border():
            try:
                tail = Tail(self.root / handle.name / files.OUTPUT, after)
            except FileNotFoundError:  # never started, or removed this moment
                if self.inspect(handle).phase is Phase.GONE:
                    yield Missing("removed")
                return
            try:
                yield from self._follow(handle, tail)
            finally:
                tail.close()

    def stop(self, handle: Handle, grace_seconds: float) -> None:
        if self.inspect(handle).phase is Phase.RUNNING:
            Folder(self.root, handle.name).tell(files.ASK if grace_seconds > 0 else files.KILL)

    def remove(self, handle: Handle) -> None:
        self.stop(handle, 0)
        limit = time.monotonic() + KILL_SECONDS
        while (phase := self.inspect(handle).phase) is Phase.RUNNING:
            if time.monotonic() > limit:
                raise Unavailable(f"{handle.name}: killed, but not over yet")
            time.sleep(POLL_SECONDS[0])
        if phase is not Phase.GONE:
            with border():
                Folder(self.root, handle.name).throw_away()

    def judge(self, seen: Observation) -> Verdict | None:
        return judge(seen)

    def probe(self) -> Engine:
        with border():
            return engine.probe(self.root)

    def usage(self, handle: Handle) -> Usage | None:
        shim = self._shim(handle)
        return None if shim is None else _usage(shim, Folder(self.root, handle.name))

    def processes(self, handle: Handle) -> list[RunningProcess]:
        shim = self._shim(handle)
        pids = subtree.descendants(shim.pid) if shim else []
        return [_running(seen) for pid in pids if (seen := subtree.look(pid))]

    def _shim(self, handle: Handle) -> subtree.Process | None:
        """Of a running job; a pid that another process has by now is not taken for it."""
        started = Folder(self.root, handle.name).read(files.STARTED)
        if started is None or self.inspect(handle).phase is not Phase.RUNNING:
            return None
        shim = subtree.look(started["pid"])
        if shim is None or (shim.start_ticks, subtree.boot_id()) != (started["start_ticks"], started["boot_id"]):
            return None
        return shim

    def _follow(self, handle: Handle, tail: Tail) -> Iterator[Output]:
        """A look before each read: what is over then has nothing more to come behind that read."""
        pause, last = POLL_SECONDS[0], time.monotonic()
        while time.monotonic() - last < SILENCE_SECONDS:
            over = self.inspect(handle).phase is not Phase.RUNNING
            before = tail.record
            yield from tail.batches()
            if over:
                return
            if tail.record != before:
                pause, last = POLL_SECONDS[0], time.monotonic()
            time.sleep(pause)
            pause = min(2 * pause, POLL_SECONDS[1])

    def _look(self, name: str) -> Observation | None:
        if not NAME.fullmatch(name):
            return None
        folder = Folder(self.root, name)
        with border():
            identity = folder.read(files.IDENTITY)
            return _observe(folder, identity, self._handle(name, identity)) if identity else None

    def _handle(self, name: str, identity: Mapping[str, Any]) -> Handle:
        return Handle(self.name, name, str(identity["uid"]), self.place)

    def _require_here(self, handle: Handle) -> None:
        if handle.place != self.place:
            raise Unavailable(f"{handle.name} is on {handle.place}, this is {self.place}")


def _require_ours(folder: Folder, labels: Mapping[str, str]) -> Mapping[str, Any]:
    identity = folder.read(files.IDENTITY) or {"labels": {}}
    for key in (LABEL_INSTALLATION, LABEL_JOB, LABEL_ATTEMPT):
        if identity["labels"].get(key) != labels.get(key) or not identity["labels"]:
            raise Refused(
                Verdict(
                    "policy_denied",
                    f"The name {folder.name} is taken by something that is not this job.",
                    (f"{key}: {identity['labels'].get(key)}",),
                    "Find out whose it is; two installations may share an installation id.",
                )
            )
    return identity


def _observe(folder: Folder, identity: Mapping[str, Any], handle: Handle) -> Observation:
    """In this order: who started holds the lock since before, and writes the exit before letting go of it."""
    started = folder.read(files.STARTED)
    live = folder.is_live()
    ended = folder.read(files.EXIT)
    phase = Phase.EXITED
    if ended is None:
        phase = Phase.RUNNING if live else Phase.EXITED if started else Phase.CREATED
        ended = _lost(started) if phase is Phase.EXITED else {}
    return Observation(
        handle,
        phase,
        exit_code=ended.get("exit_code"),
        oom_killed=bool(ended.get("oom_killed")),
        error=str(ended.get("error") or ""),
        started_at=_time((started or {}).get("started_at_ns")),
        finished_at=_time(ended.get("finished_at_ns")),
        labels=identity["labels"],
        created_at=_time(identity["created_at_ns"]),
        raw={**identity, **(started or {}), **ended},
    )


def _lost(started: Mapping[str, Any] | None) -> dict[str, Any]:
    """Started, no longer there, and nobody wrote down how it ended."""
    rebooted = started is not None and started["boot_id"] != subtree.boot_id()
    why = "the machine was restarted" if rebooted else "its shim and its guard were killed"
    return {"exit_code": None, "cause": "container_vanished", "error": f"{why} while the job ran"}


def _running(seen: subtree.Process) -> RunningProcess:
    return RunningProcess(seen.pid, seen.letter, seen.own_ticks / subtree.TICKS_A_SECOND, subtree.command(seen.pid))


def _usage(shim: subtree.Process, folder: Folder) -> Usage:
    pids = subtree.descendants(shim.pid)
    processes = [seen for pid in pids if (seen := subtree.look(pid))]
    ticks = shim.reaped_ticks + sum(each.own_ticks + each.reaped_ticks for each in processes)
    used = subtree.memory_bytes(pids)
    return Usage(
        cpu_seconds=ticks / subtree.TICKS_A_SECOND,
        memory_bytes=used,
        memory_peak_bytes=max(used, _peak(folder)),
        pids=sum(each.threads for each in processes),
    )


def _peak(folder: Folder) -> int:
    try:
        return int((folder.path / files.PEAK).read_text() or 0)
    except (OSError, ValueError):
        return 0


def _time(at_ns: int | None) -> datetime | None:
    return None if at_ns is None else datetime.fromtimestamp(at_ns / 1e9, UTC)
