"""The demo job: which runtime and image it takes here, and what it runs. It goes in and is watched over REST, as a user's would."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from jobs.models import Job
from jobs.traces.reading import Trace, trace_of_job
from jobs.traces.sight import Sight
from towline.healthcheck import DIRECTLY
from workers.drivers.protocol import Unavailable
from workers.engines import offered

IMAGE = "towline/demo:1"
ELSEWHERE = "busybox:1.36"
TRACE_SECONDS, LOOK_SECONDS = 10.0, 0.1
SCRIPT = """\
echo "Hello from Towline. I am process $$ of $(hostname)."
for n in 1 2 3 4 5; do
    echo "step $n of 5, uptime $(cut -d' ' -f1 /proc/uptime) s"
    sleep 0.3
done
echo "a line on stderr" >&2
echo "Done."
"""


@dataclass(frozen=True)
class Ground:
    """Where the demo can run. `note` tells the user what is not as it could be."""

    runtime: str
    image: str
    note: str = ""


def survey_ground() -> Ground:
    """Docker where an engine answers, with an image made here when there is none; plain processes otherwise."""
    engines = offered()
    if "docker" not in engines:
        return Ground(
            "process",
            IMAGE,
            "No Docker engine answers here, so jobs run as plain processes of this machine (the process runtime): good "
            "for trying out, without isolation, and refused in production. Start Docker to see containers.",
        )
    return Ground("docker", _image())


def _image() -> str:
    """The tiny demo image made from this machine's busybox; without one, the engine may know or pull busybox itself."""
    from docker import APIClient
    from docker.utils import kwargs_from_env

    from workers.drivers.docker.busybox import NoBusyboxError, ensure_demo_image

    try:
        return ensure_demo_image(APIClient(**kwargs_from_env()))
    except NoBusyboxError as error:
        return _pulled(error)


def _pulled(no_busybox: Exception) -> str:
    from workers.drivers.protocol import Images, Refused
    from workers.engines import driver

    docker = driver("docker")
    try:
        if isinstance(docker, Images):
            docker.resolve(ELSEWHERE, None, lambda progress: None)
    except (Refused, Unavailable) as error:
        raise NoImageError(f"{no_busybox}; and {ELSEWHERE} can't be pulled: {error}") from error
    return ELSEWHERE


class NoImageError(Exception):
    """There is nothing to run; the message says what to install."""


def demo_job(ground: Ground) -> dict[str, Any]:
    return {
        "name": "demo",
        "image": ground.image,
        "runtime": ground.runtime,
        "script": SCRIPT,
        "labels": {"made-by": "make demo"},
        "resources": {"cpus": 0.5, "memory": "64Mi"},
        "timeouts": {"run": 60, "start": 60},
    }


def whole_trace(job: Job, seconds: float = TRACE_SECONDS) -> Trace:
    """Its trace once every span of it is over, which is a little behind the job's end: its container is removed, too. What
    there is of it when that takes too long, or where it is not traced.
    """
    until = time.monotonic() + seconds
    found = trace_of_job(job, Sight())
    while found.trace_id and not _is_whole(found) and time.monotonic() < until:
        time.sleep(LOOK_SECONDS)
        found = trace_of_job(job, Sight())
    return found


def _is_whole(trace: Trace) -> bool:
    lives = {row.operation for row in trace.rows if row.service == "job"}
    return {"job", "attempt"} <= lives and all(row.completed_at for row in trace.rows)


class Rest:
    """The few calls a demo needs, with nothing but the standard library."""

    def __init__(self, url: str, token: str) -> None:
        self._api, self._token = f"{url}/api/v1", token

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        with self._open(path, json.dumps(body).encode(), {"Content-Type": "application/json"}) as answer:
            return dict(json.load(answer))

    def events(self, path: str) -> Iterator[tuple[str, Any]]:
        """(event, data) of a server-sent stream until its end."""
        with self._open(path, None, {"Accept": "text/event-stream"}) as answer:
            event = ""
            for raw in answer:
                line = raw.decode().rstrip("\n")
                if line.startswith("event: "):
                    event = line[7:]
                elif line.startswith("data: "):
                    yield event, json.loads(line[6:])

    def _open(self, path: str, data: bytes | None, headers: dict[str, str]) -> Any:
        request = urllib.request.Request(  # noqa: S310 - our own loopback address
            self._api + path, data, {"Authorization": f"Bearer {self._token}", **headers}
        )
        return DIRECTLY.open(request, timeout=90)
