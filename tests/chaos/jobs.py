"""What users do meanwhile: they send counting jobs of many kinds, wait for them, cancel some; and what may become of each."""

from __future__ import annotations

import os
import random
import threading
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.chaos.platform import Platform
from tests.stack import FINAL, IMAGE

# The probe says from outside of the platform what has run: a folder for each attempt, made once or it ran twice.
# `said` is how far it has counted, so that output which is missing shows even where nobody knows how far it should go.
COUNT = """\
d="$PROBE/$TOWLINE_JOB_ID-a$TOWLINE_ATTEMPT"
mkdir "$d" || { echo DOUBLE; : > "$d/double"; }
: > "$d/start"
%(begin)s
i=0
while [ $i -lt %(lines)d ]; do i=$((i+1)); printf '%%d\\n' $i; echo $i > "$d/said"; %(pause)s; done
: > "$d/end"
%(end)s
"""
TRY_AGAIN = {"max_attempts": 3, "backoff": 0.3, "on": ["exit_code"]}
# kind → how often
KINDS = {"plain": 10, "quick": 3, "retrying": 2, "cancelled": 2, "stubborn": 2, "endless": 1}
ENDLESS = 100_000
ANSWER_SECONDS = 30.0


@dataclass
class Story:
    """One job as its user knows it. `ends`: exit codes it may have by attempt, the last for all further ones."""

    kind: str
    runtime: str
    lines: int
    ends: tuple[int, ...]
    spec: dict[str, Any]
    cancel_after: float | None = None
    key: str = field(default_factory=lambda: uuid.uuid4().hex)
    id: str = ""
    sent_at: float = 0.0
    cancel_asked: bool = False
    seen: dict[str, Any] | None = None  # as it was when it was first seen final

    def end_of(self, attempt: int) -> int:
        return self.ends[min(attempt, len(self.ends)) - 1]


def make_story(rng: random.Random, runtimes: list[str], platform: Platform) -> Story:
    kind = rng.choices(list(KINDS), list(KINDS.values()))[0]
    runtime = rng.choices(runtimes, [4, 1][: len(runtimes)])[0]
    lines = {"quick": rng.randint(1, 3), "retrying": rng.randint(5, 40), "endless": ENDLESS}.get(
        kind, int(20 * rng.choice([rng.uniform(1, 5), rng.uniform(1, 20)]))
    )
    ends = (9, 0) if kind == "retrying" else (rng.choice([0, 0, 0, 3, 7]),)
    story = counting_story(platform, kind, runtime, lines, ends)
    if kind == "retrying":
        story.spec["retry"] = TRY_AGAIN
    if kind == "endless":
        story.spec["timeouts"]["run"] = round(rng.uniform(1, 4), 1)
    if kind in ("cancelled", "stubborn"):
        story.cancel_after = rng.uniform(0, 4)
    return story


def counting_story(platform: Platform, kind: str, runtime: str, lines: int, ends: tuple[int, ...]) -> Story:
    *earlier, last = ends
    end = [f'[ "$TOWLINE_ATTEMPT" -gt {number} ] || exit {code}' for number, code in enumerate(earlier, start=1)]
    script = COUNT % {
        "begin": "trap '' TERM" if kind == "stubborn" else "", "lines": lines,
        "pause": ":" if kind == "quick" else "sleep 0.05", "end": "\n".join([*end, f"exit {last}"]),
    }  # fmt: skip
    probes = str(platform.probes)
    inside = {"docker": "/probe", "kubernetes": "/tmp"}.get(runtime, probes)
    spec: dict[str, Any] = {
        "name": kind, "image": IMAGE, "command": ["sh", "-c", script], "runtime": runtime, "env": {"PROBE": inside},
        "resources": {"cpus": 0.2, "memory": "64Mi"}, "timeouts": {"grace": 1.5},
    }  # fmt: skip
    if runtime != "kubernetes":  # there a probe would be left on some node; the API server is the witness
        spec |= {"volumes": [f"{probes}:{inside}:rw"], "user": f"{os.getuid()}:{os.getgid()}"}
        spec |= {"network": "none" if runtime == "docker" else "bridge"}
    return Story(kind, runtime, lines, ends, spec)


class Client:
    """REST as a patient user speaks it: asks again when nobody answers, and keeps what the answers were."""

    def __init__(self, platform: Platform) -> None:
        headers = {"Authorization": f"Bearer {platform.token}"}
        self._http = httpx.Client(base_url=f"{platform.url}/api/v1", headers=headers, timeout=ANSWER_SECONDS)
        self._lock = threading.Lock()
        self.statuses: Counter[int] = Counter()
        self.seconds: list[float] = []

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response | None:
        """None: no answer."""
        began = time.monotonic()
        try:
            answer = self._http.request(method, path, **more)
        except httpx.HTTPError:
            return None
        with self._lock:
            self.statuses[answer.status_code] += 1
            if "/wait/" not in path:
                self.seconds.append(time.monotonic() - began)
        return answer

    def get(self, path: str, **more: Any) -> httpx.Response:
        """However long it takes."""
        return self.insist("GET", path, **more)

    def insist(self, method: str, path: str, **more: Any) -> httpx.Response:
        until = time.monotonic() + 90
        while True:
            answer = self.ask(method, path, **more)
            if answer is not None and answer.status_code < 500:
                return answer
            assert time.monotonic() < until, f"{method} {path}: {answer and answer.text}"
            time.sleep(0.1)

    def rows(self, path: str) -> list[dict[str, Any]]:
        return list(self.get(path, params={"limit": 500}).json()["results"])


class Users:
    """So many at once, each with one job at a time, until told that it is enough."""

    def __init__(
        self, platform: Platform, client: Client, runtimes: list[str], seed: int, count: int, image: str = IMAGE
    ) -> None:
        self.platform, self.client, self.runtimes, self.image = platform, client, runtimes, image
        self.stories: list[Story] = []
        self.enough = threading.Event()
        self.troubles: list[str] = []
        self._threads = [
            threading.Thread(target=self._live, args=(random.Random(f"{seed}-{n}"),), name=f"user-{n}", daemon=True)
            for n in range(count)
        ]
        for thread in self._threads:
            thread.start()

    def done(self) -> bool:
        return not any(thread.is_alive() for thread in self._threads)

    def under_way(self) -> list[Story]:
        return [story for story in self.stories if story.id and story.seen is None]

    def cancel(self, story: Story) -> None:
        # Before it is sent: an answer that is lost says nothing about the request.
        story.cancel_asked = True
        self.client.insist("POST", f"/jobs/{story.id}/cancel/")

    def _live(self, rng: random.Random) -> None:
        try:
            while not self.enough.is_set():
                story = make_story(rng, self.runtimes, self.platform)
                self.stories.append(story)
                self.send(story)
                self.see_through(story)
        except Exception as error:  # noqa: BLE001 - a thread's border: the test reports it
            self.troubles.append(f"{type(error).__name__}: {error}")

    def send(self, story: Story) -> None:
        spec = {**story.spec, "image": self.image}
        answer = self.client.insist("POST", "/jobs/", json=spec, headers={"Idempotency-Key": story.key})
        assert answer.status_code in (200, 201), answer.text
        story.sent_at = time.time()
        story.id = answer.json()["id"]

    def see_through(self, story: Story) -> None:
        began = time.monotonic()
        while story.seen is None:
            due = None if story.cancel_after is None or story.cancel_asked else began + story.cancel_after
            if due is not None and time.monotonic() >= due:
                self.cancel(story)
            seconds = 2.0 if due is None else max(0.1, min(2.0, due - time.monotonic()))
            answer = self.client.get(f"/jobs/{story.id}/wait/", params={"timeout": f"{seconds:.2f}"})
            if answer.status_code == 200 and answer.json()["state"] in FINAL:
                story.seen = answer.json()
