"""`make bench-cluster`: what a job costs over `kubectl run` and a wait, and what a hundred pods cost one worker. See `--help`.

It goes to the cluster of KUBECONFIG, whatever that is: the figures say which one it was. Jobs and bare pods take turns.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from uuid import uuid4

import httpx
from rich.console import Console

from .running import Doors, platform
from .sections import put

TELL = Console(stderr=True)
WAIT_SECONDS = 120.0
MOST_OVER = 0.15  # submit to final, over kubectl
MOST_MIB = 150.0  # of one worker with a hundred pods, above idle
# Limits are limits from the first moment: with a hundredth of a cpu a node takes ten seconds to make the container.
USUAL_CPUS, CROWD_CPUS = 0.5, 0.01
KIB = 1024


@dataclass
class Figures:
    """Milliseconds, MiB and seconds."""

    cluster: str
    at_once: int
    kubectl: list[float] = field(default_factory=list)
    towline: list[float] = field(default_factory=list)
    idle_mib: float = 0.0
    crowd_mib: float = 0.0
    crowd_seconds: float = 0.0

    @property
    def over(self) -> float:
        return statistics.median(self.towline) / statistics.median(self.kubectl) - 1

    @property
    def crowd_costs_mib(self) -> float:
        return self.crowd_mib - self.idle_mib

    @property
    def reached(self) -> bool:
        return self.over <= MOST_OVER and self.crowd_costs_mib <= MOST_MIB


class Ways:
    """Each runs one trivial pod to its end, and returns milliseconds."""

    def __init__(self, doors: Doors, options: argparse.Namespace) -> None:
        self.image, self.namespace = options.image, options.namespace
        headers = {"Authorization": f"Bearer {doors.token}"}
        self.http = httpx.Client(base_url=f"{doors.url}/api/v1", headers=headers, timeout=WAIT_SECONDS + 10)

    def kubectl(self) -> float:
        """As a user types it: run, wait for the end, remove."""
        name = f"bench-{uuid4().hex[:12]}"
        began = time.perf_counter()
        self._kubectl("run", name, f"--image={self.image}", "--restart=Never", "--image-pull-policy=IfNotPresent",
                      "--command", "--", "echo", "hi")  # fmt: skip
        self._kubectl("wait", f"pod/{name}", "--for=jsonpath={.status.phase}=Succeeded", f"--timeout={WAIT_SECONDS:g}s")
        took = (time.perf_counter() - began) * 1000
        self._kubectl("delete", "pod", name, "--wait=false")
        return took

    def towline(self) -> float:
        began = time.perf_counter()
        self.until_over(self.submit(["echo", "hi"], USUAL_CPUS))
        return (time.perf_counter() - began) * 1000

    def submit(self, command: list[str], cpus: float) -> str:
        job = {
            "image": self.image,
            "command": command,
            "runtime": "kubernetes",
            "resources": {"cpus": cpus, "memory": "64Mi"},
        }
        return str(self.http.post("/jobs/", json=job).raise_for_status().json()["id"])

    def until_over(self, pk: str) -> None:
        ended = self.http.get(f"/jobs/{pk}/wait/", params={"timeout": WAIT_SECONDS}).raise_for_status().json()
        if ended["state"] != "succeeded":
            raise RuntimeError(f"job {pk} is {ended['state']}: {ended['verdict'] or ended['waiting']}")

    def _kubectl(self, *argv: str) -> None:
        subprocess.run(["kubectl", "-n", self.namespace, *argv], check=True, stdout=subprocess.DEVNULL)


def measure(options: argparse.Namespace) -> Figures:
    found = Figures(_cluster(), options.crowd)
    with platform(runtime="kubernetes", slots=options.crowd) as doors:
        ways = Ways(doors, options)
        worker = _run_worker(doors.folder)
        for way in (ways.kubectl, ways.towline):
            way()  # warm: connections, the watch
        TELL.print(f"one at a time, {options.rounds} rounds …")
        for number in range(options.rounds):
            turn: list[tuple[list[float], Callable[[], float]]]
            turn = [(found.kubectl, ways.kubectl), (found.towline, ways.towline)]
            for kept, way in turn if number % 2 else turn[::-1]:
                kept.append(way())
        found.idle_mib = _mib(worker)
        TELL.print(f"{options.crowd} pods at once …")
        _crowd(ways, worker, options.crowd, found)
    return found


def _crowd(ways: Ways, worker: int, count: int, found: Figures) -> None:
    """All of them running at the same time, each writing a line a second; the most memory that was seen."""
    began = time.perf_counter()
    hello = "for n in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do echo $n; sleep 1; done"
    jobs = [ways.submit(["sh", "-c", hello], CROWD_CPUS) for _ in range(count)]
    while True:
        found.crowd_mib = max(found.crowd_mib, _mib(worker))
        states = ways.http.get("/stats/").raise_for_status().json()["queue"]
        if not any(states[state] for state in ("queued", "assigned", "running")):
            break
        time.sleep(0.5)
    found.crowd_seconds = time.perf_counter() - began
    for pk in jobs:
        ways.until_over(pk)


def _run_worker(folder: Path) -> int:
    """The process id of the platform's run worker."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            mine = f"TOWLINE_DATA_DIR={folder}".encode() in path.with_name("environ").read_bytes().split(b"\0")
            if mine and b"serve\0run" in path.read_bytes():
                return int(path.parent.name)
        except OSError:
            continue
    raise RuntimeError("no run worker is there")


def _mib(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / KIB
    raise RuntimeError("the run worker is gone")


def _cluster() -> str:
    told = subprocess.run(["kubectl", "version", "-o", "json"], check=True, capture_output=True, text=True).stdout
    return str(json.loads(told)["serverVersion"]["gitVersion"])


def as_markdown(found: Figures) -> list[str]:
    kubectl, towline = statistics.median(found.kubectl), statistics.median(found.towline)
    return [
        f"Kubernetes {found.cluster}, {len(found.towline)} rounds in turns, one pod at a time.",
        "",
        "| | median ms |",
        "|---|---|",
        f"| `kubectl run` and `kubectl wait` | {kubectl:.0f} |",
        f"| Towline, submit to final | {towline:.0f} ({found.over:+.0%}; at most {MOST_OVER:+.0%} is wanted) |",
        "",
        f"{found.at_once} pods at once from one worker: {found.crowd_costs_mib:.0f} MiB above its {found.idle_mib:.0f} when "
        f"idle (at most {MOST_MIB:.0f} is wanted), {found.crowd_seconds:.0f} s from the first submit to the last end of "
        "jobs of 15 s.",
    ]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cluster", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="one at a time (default 15)")
    parser.add_argument("--crowd", type=int, default=100, help="pods at once (default 100)")
    parser.add_argument("--image", default="busybox:1.36", help="with a shell (default busybox:1.36)")
    parser.add_argument("--namespace", default=os.environ.get("TOWLINE_KUBERNETES_NAMESPACE", "towline-jobs"))
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write them as Markdown, e.g. docs/benchmarks.md")
    return parser.parse_args()


def main() -> int:
    options = _options()
    found = measure(options)
    print(json.dumps(asdict(found), indent=1) if options.json else "\n".join(as_markdown(found)))
    if options.write:
        put(options.write, "Pods", as_markdown(found))
    return 0 if found.reached else 1


if __name__ == "__main__":
    sys.exit(main())
