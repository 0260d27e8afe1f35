"""The Docker driver: the six operations, images, and usage, each a short way to the engine and back."""

from __future__ import annotations

import dataclasses
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from docker.errors import APIError, NotFound
from requests import Response

from jobs.verdicts import Verdict
from workers.drivers.docker import judge, observe
from workers.drivers.docker.connection import Connection, asking
from workers.drivers.docker.engine import engine_of, has_gpu_runtime, loses_newlines
from workers.drivers.docker.images import ImageStore
from workers.drivers.docker.locks import HostLocks
from workers.drivers.docker.logs import LogReader
from workers.drivers.docker.refusals import NO_GPU
from workers.drivers.docker.request import LABEL_TTY
from workers.drivers.docker.start import Starter
from workers.drivers.docker.top import ARGUMENTS, processes_of
from workers.drivers.docker.usage import usage_of
from workers.drivers.docker.witness import witness_of
from workers.drivers.output import Missing, Output
from workers.drivers.protocol import (
    LABEL_INSTALLATION,
    Consent,
    ContainerSpec,
    Engine,
    Handle,
    Image,
    Observation,
    Phase,
    PullProgress,
    Refused,
    RunningProcess,
    Unavailable,
    Usage,
    unasked,
)

LOG_BYTES = 4 * 1024**3
STARTS_PER_CPU = 2  # measured: one at a time per cpu leaves a seventh of what the machine can start unused
SEARCH_SECONDS = 300.0  # the engine searches some 400,000 lines a second
INIT_EXIT_CODES = (1, 126, 127)  # of an init that could not execute the command


def default_lock_dir() -> Path:
    return Path(tempfile.gettempdir()) / f"towline-docker-{os.getuid()}"


class DockerDriver:
    """Containers on one Docker engine. Connects when first asked; safe to use from many threads.

    `lock_dir` is to be the same for all workers of a host. `silence_seconds` is after how long without output `logs`
    returns. `log_bytes` is the size of the engine's log file of one container before it is rotated, the same for all drivers
    of the engine. Up to it reading is cheapest, and output can only get lost when twice as much waits to be read.
    """

    name = "docker"

    def __init__(
        self,
        base_url: str | None = None,
        *,
        timeout_seconds: float = 60,
        start_seconds: float = 300,
        silence_seconds: float = 10,
        pull_silence_seconds: float = 300,
        lock_dir: Path | None = None,
        start_slots: int | None = None,
        log_bytes: int = LOG_BYTES,
    ) -> None:
        self._connection = Connection(base_url, timeout_seconds)
        self._silence = silence_seconds
        self._log_bytes = log_bytes
        self._engine: Engine | None = None
        locks = HostLocks(lock_dir or default_lock_dir())
        slots = start_slots or STARTS_PER_CPU * (os.cpu_count() or 1)
        self._starter = Starter(self._connection, locks, slots, start_seconds, log_bytes)
        self._images = ImageStore(self._connection, locks, pull_silence_seconds)

    def start(self, spec: ContainerSpec, consent: Consent = unasked) -> Handle:
        """See the protocol. A container that cannot start stays as an exited one with `error`."""
        if spec.gpus and not self._has_gpus():
            raise Refused(NO_GPU)
        return self._starter.start(spec, self._known().id, consent).handle

    def inspect(self, handle: Handle) -> Observation:
        seen = self._look(handle)
        if seen.phase is not Phase.EXITED or seen.error or not seen.exit_code:
            return seen
        if seen.exit_code in INIT_EXIT_CODES:
            seen = self._with_last_words_of_init(seen)
        return seen if seen.error or seen.oom_killed else self._with_what_the_engine_did(seen)

    def find(self, name: str) -> Observation | None:
        with asking(f"find {name}"):
            try:
                found = observe.observe(self._connection.client.inspect_container(name), self._known().id)
            except NotFound:
                return None
        # The engine also finds by the beginning of an id.
        is_it = found.handle.name == name and observe.is_ours(found.labels) and found.phase is not Phase.GONE
        return found if is_it else None

    def survey(self, installation: str) -> Iterator[Observation]:
        """Without exit codes, errors and times: those take one `inspect` each."""
        place = self._known().id
        with asking("list the containers"):
            listed = self._connection.client.containers(
                all=True, filters={"label": [f"{LABEL_INSTALLATION}={installation}"]}
            )
        return (observe.observe_listed(item, place) for item in listed)

    def logs(self, handle: Handle, after: str | None) -> Iterator[Output]:
        """See the protocol. Live while it runs; once it is over, the rest from the file, which a live stream may leave out."""
        seen = self._look(handle)
        phase, terminal = seen.phase, LABEL_TTY in seen.labels
        if phase is Phase.GONE:
            yield Missing("removed")
        if phase in (Phase.RUNNING, Phase.EXITED):
            with asking(f"read the log of {handle.name}"):
                yield from self._reader(handle, after, follow=phase is Phase.RUNNING, terminal=terminal)

    def stop(self, handle: Handle, grace_seconds: float) -> None:
        with asking(f"stop {handle.name}"):
            self._quietly(
                {404, 409}, lambda: self._connection.client.kill(handle.uid, "TERM" if grace_seconds > 0 else "KILL")
            )

    def remove(self, handle: Handle) -> None:
        with asking(f"remove {handle.name}"):
            self._quietly({404, 409}, lambda: self._connection.client.remove_container(handle.uid, v=True, force=True))

    def judge(self, seen: Observation) -> Verdict | None:
        return judge.judge(seen)

    def probe(self) -> Engine:
        with asking("tell about itself"):
            return engine_of(self._connection.client.info())

    def resolve(self, reference: str, arch: str | None, progress: Callable[[PullProgress], None]) -> Image:
        return self._images.resolve(reference, arch, progress)

    def usage(self, handle: Handle) -> Usage | None:
        with asking(f"measure {handle.name}"):
            try:
                return usage_of(self._connection.client.stats(handle.uid, stream=False, one_shot=True))
            except NotFound:
                return None

    def processes(self, handle: Handle) -> list[RunningProcess]:
        with asking(f"list the processes of {handle.name}"):
            try:
                return processes_of(self._connection.client.top(handle.uid, ARGUMENTS))
            except APIError as error:
                if error.status_code in {404, 409}:  # gone; not running
                    return []
                raise

    def _look(self, handle: Handle) -> Observation:
        if handle.place != self._known().id:
            raise Unavailable(f"{handle.name} is on the engine {handle.place}, this one is {self._known().id}")
        with asking(f"inspect {handle.name}"):
            try:
                return observe.observe(self._connection.client.inspect_container(handle.uid), handle.place)
            except NotFound:
                return observe.gone(handle)

    def _reader(self, handle: Handle, after: str | None, *, follow: bool, terminal: bool) -> LogReader:
        def open_log(asked: Mapping[str, str | int], read_seconds: float) -> Response:
            path = f"/containers/{handle.uid}/logs"
            return self._connection.request("GET", path, params=asked, read_seconds=read_seconds, stream=True)

        quirk = loses_newlines(self._known())
        return LogReader(open_log, after, follow, self._silence, SEARCH_SECONDS, self._log_bytes, quirk, terminal)

    def _with_last_words_of_init(self, seen: Observation) -> Observation:
        """With the init's line about a command that it could not execute: the engine itself knows only the exit code.

        The architectures, because the init takes a program for another processor for a missing one when the image
        has no shell.
        """
        with asking(f"read the last words of {seen.handle.name}"):
            try:
                words = self._connection.client.logs(seen.handle.uid, stdout=False, tail=1)
                image = self._connection.client.inspect_image(seen.raw["Image"])  # type: ignore[no-untyped-call]
            except NotFound:
                return seen
        line = words.decode(errors="replace").strip()
        if not line.startswith(judge.FATAL_INIT):
            return seen
        built_for = {"ImageArchitecture": image["Architecture"], "EngineArchitecture": self._known().arch}
        return dataclasses.replace(seen, error=line, raw={**seen.raw, **built_for})

    def _with_what_the_engine_did(self, seen: Observation) -> Observation:
        with asking(f"tell what it did to {seen.handle.name}"):
            witness = witness_of(self._connection, seen.handle.uid)
        told = {"EngineSignals": ", ".join(witness.kills)} if witness.kills else {}
        if witness.took_along(seen):
            told |= {"EngineStarted": f"{witness.up_since}", "LiveRestore": f"{witness.live_restore}"}
        return dataclasses.replace(seen, raw={**seen.raw, **told}) if told else seen

    def _has_gpus(self) -> bool:
        with asking("tell about its GPUs"):
            return has_gpu_runtime(self._connection.client.info())

    def _known(self) -> Engine:
        """The engine, asked once: a handle of another one must never look like a container that is gone."""
        if self._engine is None:
            self._engine = self.probe()
        return self._engine

    def _quietly(self, statuses: set[int], call: Callable[[], Any]) -> None:
        try:
            call()
        except APIError as error:
            if error.status_code not in statuses:
                raise
