"""What can be known from outside when all is over: REST, the engine's own events, the probes, the kernel."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from docker import APIClient
from docker.utils import kwargs_from_env

from tests.chaos.jobs import Client, Story


@dataclass(frozen=True)
class Probe:
    """What a container left in its folder. Times in nanoseconds by the host's clock."""

    started_ns: int | None
    ended_ns: int | None
    said: int | None
    double: bool


@dataclass
class Account:
    """All that there is on one job. `outputs` and `probes` by the number of the attempt."""

    story: Story
    job: dict[str, Any]
    attempts: list[dict[str, Any]]
    events: list[dict[str, Any]]
    outputs: dict[int, bytes]
    probes: dict[int, Probe]

    def name_of(self, installation: str, number: int) -> str:
        return f"{installation}-{self.story.id}-a{number}"


class EngineWitness:
    """The engine's own record of starts and ends, by container name. It sees everybody's: who reads picks theirs."""

    def __init__(self) -> None:
        self.starts: dict[str, list[int]] = defaultdict(list)
        self.ends: dict[str, list[tuple[int, int]]] = defaultdict(list)  # when, exit code
        self._client = APIClient(**kwargs_from_env(), timeout=3600)
        wanted = {"type": "container", "event": ["start", "die"], "label": "towline.job"}
        self._stream = self._client.events(filters=wanted, decode=True)
        threading.Thread(target=self._watch, daemon=True, name="witness").start()

    def _watch(self) -> None:
        for event in self._stream:
            facts = event["Actor"]["Attributes"]
            if event["Action"] == "start":
                self.starts[facts["name"]].append(event["timeNano"])
            else:
                self.ends[facts["name"]].append((event["timeNano"], int(facts["exitCode"])))

    def close(self) -> None:
        self._stream.close()


def are_tidy(client: Client, stories: list[Story]) -> bool:
    """Whether the containers of all their attempts are gone, as far as the platform knows."""
    return all(
        attempt["removed_at"] or not attempt["claimed_at"]
        for story in stories
        for attempt in client.rows(f"/jobs/{story.id}/attempts/")
    )


def gather(client: Client, stories: list[Story], probes: Path) -> list[Account]:
    with ThreadPoolExecutor(4) as crowd:
        return list(crowd.map(lambda story: _account(client, story, probes), stories))


def _account(client: Client, story: Story, probes: Path) -> Account:
    path = f"/jobs/{story.id}"
    attempts = client.rows(f"{path}/attempts/")
    numbers = [attempt["number"] for attempt in attempts]
    return Account(
        story,
        client.get(f"{path}/").json(),
        attempts,
        client.rows(f"{path}/events/"),
        {number: client.get(f"{path}/logs/", params={"attempt": number}).content for number in numbers},
        {number: probe for number in range(1, 10) if (probe := _probe(probes / f"{story.id}-a{number}"))},
    )


def _probe(folder: Path) -> Probe | None:
    if not folder.exists():
        return None
    said = folder / "said"
    return Probe(
        _time_of(folder / "start"),
        _time_of(folder / "end"),
        int(said.read_text() or -1) if said.exists() else 0,
        (folder / "double").exists(),
    )


def _time_of(path: Path) -> int | None:
    return path.stat().st_mtime_ns if path.exists() else None


@dataclass(frozen=True)
class Size:
    """What a process holds: what must not grow."""

    threads: int
    files: int
    kinds: Counter[str] = field(default_factory=Counter, compare=False)


def size_of(pid: int) -> Size:
    status = Path(f"/proc/{pid}/status").read_text()
    threads = next(line for line in status.splitlines() if line.startswith("Threads:"))
    kinds = Counter(kind for file in Path(f"/proc/{pid}/fd").iterdir() if (kind := _kind(file)))
    # SQLite keeps the file of a closed connection for the next one while another holds a lock; its journal it closes.
    return Size(int(threads.split()[1]), sum(kinds.values()) - kinds["towline.sqlite3"], kinds)


def _kind(file: Path) -> str | None:
    try:
        return file.readlink().name.partition(":")[0]
    except OSError:  # closed since it was listed
        return None


@dataclass
class Strangers:
    """Containers that are not ours: one that knows nothing of us, one of another installation."""

    docker: APIClient
    image: str
    ids: list[str] = field(default_factory=list)

    def __enter__(self) -> Strangers:
        theirs = {"towline.installation": "another", "towline.job": "theirs", "towline.attempt": "1"}
        for labels in ({}, theirs):
            made = self.docker.create_container(self.image, ["sleep", "100000"], labels=labels)
            self.ids.append(made["Id"])
            self.docker.start(made["Id"])
        self.before = list(self._looks())
        return self

    def changed(self) -> list[str]:
        return [f"{a} became {b}" for a, b in zip(self.before, self._looks(), strict=True) if a != b]

    def _looks(self) -> Iterator[tuple[Any, ...]]:
        for uid in self.ids:
            state = self.docker.inspect_container(uid)
            yield uid, state["State"]["Running"], state["State"]["StartedAt"], state["RestartCount"], state["Name"]

    def __exit__(self, *_: object) -> None:
        for uid in self.ids:
            self.docker.remove_container(uid, force=True)
