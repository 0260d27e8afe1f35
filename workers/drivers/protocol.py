"""The contract between Towline and a runtime, in words and types.

Every driver passes the one suite in `tests/contract/`. What is said here in prose is what that suite tests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

from jobs.verdicts import Verdict

from .figures import Engine as Engine
from .figures import Image as Image
from .figures import Mount as Mount
from .figures import PullProgress as PullProgress
from .figures import RunningProcess as RunningProcess
from .figures import Usage as Usage
from .output import Output

LABEL_INSTALLATION = "towline.installation"
LABEL_JOB = "towline.job"
LABEL_ATTEMPT = "towline.attempt"


class Phase(StrEnum):
    """Where a container is in its life, as the runtime says it."""

    CREATED = "created"  # there, never started
    PENDING = "pending"  # told to start; the runtime does so as soon as it can: it may begin any moment
    RUNNING = "running"
    EXITED = "exited"  # ran, or failed to start; the evidence is still there
    GONE = "gone"  # the runtime does not know it


class Refused(Exception):
    """It will never work as asked: ends the attempt with this verdict."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.summary)
        self.verdict = verdict


class Unavailable(Exception):
    """The runtime could not be asked. Says nothing about the container: ask again later."""


class Unreadable(Unavailable):
    """The runtime answers, and says that it cannot read its own log of the container.

    It may be able to later: `patience_seconds` is how long that is worth waiting for once the container is over.
    """

    def __init__(self, message: str, patience_seconds: float = 0.0) -> None:
        super().__init__(message)
        self.patience_seconds = patience_seconds


@dataclass(frozen=True)
class ContainerSpec:
    """What to run, in the runtime's terms. Bytes, seconds and whole cpus; nothing of the database in it.

    `command` and `entrypoint` None mean the image's own. `script`, when set, replaces both: it is put into the
    container as a file and run by its `#!` interpreter, or by `/bin/sh` without one. `env` is complete; `secret_env` names
    those of it whose values are secrets. `requires` and `region` are what is left to the runtime to see to: a cluster has
    many machines. `grace_seconds` is between being asked to end and being killed; `deadline_seconds` after how long without
    anybody of ours a runtime that can should end it, with starting and grace in it.
    """

    name: str
    labels: Mapping[str, str]
    image: str
    command: tuple[str, ...] | None = None
    entrypoint: tuple[str, ...] | None = None
    script: str | None = None
    env: Mapping[str, str] = field(default_factory=dict, repr=False)  # secrets are in it
    working_dir: str | None = None
    user: str | None = None
    stdin: str | None = None
    tty: bool = False  # a terminal: one stream, lines end in CR LF
    cpus: float = 1.0
    memory_bytes: int = 512 * 1024**2
    disk_bytes: int | None = None
    gpus: int = 0
    pids: int = 512
    shm_bytes: int = 64 * 1024**2
    network: str = "bridge"
    read_only: bool = False
    mounts: tuple[Mount, ...] = ()
    arch: str | None = None
    region: str | None = None
    requires: Mapping[str, str] = field(default_factory=dict)
    project: str = "default"
    secret_env: frozenset[str] = frozenset()
    grace_seconds: float = 10.0
    deadline_seconds: float | None = None


@dataclass(frozen=True)
class Handle:
    """Finds a container again after every one of our processes is gone.

    `uid` is the runtime's own id of this very container: a namesake made later has another. `place` says on
    which engine (its id), so that only a worker that reaches that engine asks for it. Behind the id there may be more,
    of the driver's own.
    """

    driver: str
    name: str
    uid: str
    place: str

    def as_json(self) -> dict[str, str]:
        return {"driver": self.driver, "name": self.name, "uid": self.uid, "place": self.place}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Handle:
        return cls(str(data["driver"]), str(data["name"]), str(data["uid"]), str(data["place"]))


@dataclass(frozen=True)
class Holdup:
    """Why a container that was told to start has not begun.

    `reason` is the token that a job waits with: `unschedulable`, `quota`, `image` or `config`. `detail` says in words what is
    short, by dimension. `verdict` is how the attempt ends if this stays so until the start time-out; `hopeless`: it will, so
    there is no use in waiting. `for_room`: others have what it needs, or there is too little of it in all; the first is a
    queue, as long as it may be, and only who knows how big the cluster is can tell them apart.
    """

    reason: str
    detail: str
    verdict: Verdict
    hopeless: bool = False
    for_room: bool = False


class HeldUp(Unavailable):
    """Asked to start it, the runtime has no room for it just now and has kept nothing of it: ask again later."""

    def __init__(self, holdup: Holdup) -> None:
        super().__init__(holdup.detail)
        self.holdup = holdup


@dataclass(frozen=True)
class Observation:
    """One look at one container. `raw` is the runtime's own answer, kept as evidence.

    `oom_killed` is the runtime's flag: it may be true for a child only, and false for a child on other kernels.
    `error` is the runtime's sentence about a container that could not start. `holdup` is of a pending one, None while
    nothing is wrong. `unreachable` is the runtime's sentence about one that it has lost sight of: the phase is then what was
    known last. `image_digest` pins what it runs (`repo@sha256:…`), where the runtime tells; `node`: the machine that runs it,
    where a runtime has many.
    """

    handle: Handle
    phase: Phase
    exit_code: int | None = None
    oom_killed: bool = False
    error: str = ""
    started_at: datetime | None = None
    finished_at: datetime | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    created_at: datetime | None = None
    raw: Mapping[str, Any] = field(default_factory=dict)
    holdup: Holdup | None = None
    unreachable: str = ""
    image_digest: str = ""
    node: str = ""


def unasked(handle: Handle | None) -> None:
    """The consent of who needs none."""


Consent = Callable[[Handle | None], None]


class Driver(Protocol):
    """Six operations. All may raise `Unavailable`; all but `start` may be repeated at will by anyone, any time."""

    name: str

    def start(self, spec: ContainerSpec, consent: Consent = unasked) -> Handle:
        """Start the container, or find the one already started under this name.

        `consent` is called with None before the container is made, and with its handle before it is started, each time
        while no other process of this host can start it. What it raises comes out, and nothing is started then: whoever
        was held up until the container had run and was removed must not run it a second time. Once it was given the
        handle, a container that is not there is one that may have run.

        Twice means once: a namesake with our labels that is `created` is started, one that is running or has exited
        is returned as it is and never started again. Told to start means started: where the runtime begins it later, it is
        `pending` until then; where it can't even take it now, `HeldUp` is raised. A namesake without our labels raises
        `Refused`. What can never start (no such command, user, network …) either raises `Refused` or leaves an exited
        container whose `Observation.error` says why. Does not resolve images: see `Images`.
        """
        ...

    def inspect(self, handle: Handle) -> Observation:
        """Look once, never wait. Missing, or another uid under the same name, is `GONE`, not an error."""
        ...

    def find(self, name: str) -> Observation | None:
        """The container under this name if it is ours, whatever its phase, else None."""
        ...

    def survey(self, installation: str) -> Iterator[Observation]:
        """Every container labelled with this installation, in one request (details may be left out)."""
        ...

    def logs(self, handle: Handle, after: str | None) -> Iterator[Output]:
        """Output from right behind cursor `after` (None: from the first byte) in stored order, following live.

        Ends when the container is over, and may end early or stay silent for a while: its end says nothing. While
        nothing comes, it yields nothing; it returns at the latest after some seconds of silence so that the caller
        can look around. A line that comes alone is given at once, many are given together; they wait with the runtime
        while the caller does something else, and never in the container's way.

        A cursor is the driver's own short text: a place in the runtime's log that any later driver for it finds again,
        by an offset, or by stream, stamp and ordinal within it where a runtime has nothing better. Going on from any
        cursor has neither gap nor duplicate, or says so: a `Missing` stands where the output is certain to be incomplete,
        and nowhere else. A container that is gone yields one, `removed`, and no more. Raises `Unreadable` when the runtime
        cannot read its own log.
        """
        ...

    def stop(self, handle: Handle, grace_seconds: float) -> None:
        """Ask it to end (TERM) when `grace_seconds` > 0, kill it and all its processes when 0. Returns at once.

        The caller calls again with 0 when the grace is over. Gone, exited or not yet started is fine.
        """
        ...

    def remove(self, handle: Handle) -> None:
        """Forget the container and all it wrote outside volumes. Running is killed first. Gone is fine."""
        ...

    def judge(self, seen: Observation) -> Verdict | None:
        """Why an exited container ended, or one is gone; None for a plain success. Pure, from the observation alone.

        Knows nothing of cancels and time-outs: what we did ourselves is the runner's to say. Never guesses: an end
        that nothing explains keeps the runtime's own words as evidence.
        """
        ...

    def probe(self) -> Engine:
        """Who and how big the engine is."""
        ...


@runtime_checkable
class Images(Protocol):
    """Of drivers whose runtime needs an image in place before `start`."""

    def resolve(self, reference: str, arch: str | None, progress: Callable[[PullProgress], None]) -> Image:
        """Have the image on the engine, pulling when it is missing. Raises `Refused` with an `image_*` verdict."""
        ...


@runtime_checkable
class Withdrawable(Protocol):
    """Of drivers whose containers may be pending."""

    def withdraw(self, handle: Handle) -> bool:
        """See to it that a pending container never begins. True: it has not, and never will; nothing of it is left.

        False: it may have begun, or cannot be withdrawn at once. It was asked to end then, and its end will be seen by
        looking: an exited one without `started_at` never began. May be repeated; gone is False.
        """
        ...


@runtime_checkable
class Metered(Protocol):
    """Of drivers that can say what a container uses."""

    def usage(self, handle: Handle) -> Usage | None:
        """One sample, at once; None when it is not running."""
        ...


@runtime_checkable
class Inspectable(Protocol):
    """Of drivers that can say what goes on inside a container."""

    def processes(self, handle: Handle) -> list[RunningProcess]:
        """All of its processes, at once; none when it is not running."""
        ...
