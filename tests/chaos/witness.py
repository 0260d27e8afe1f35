"""What a cluster has seen of our pods: which ran at the same time, which were started, which are left."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Iterator

from tests.chaos.evidence import Account
from tests.system.cluster import Ground
from workers.drivers.kubernetes.connection import ApiError
from workers.drivers.protocol import Unavailable

LOOK_SECONDS = 0.2


class ClusterWitness:
    """Looks again and again which pods run, and reads at the end what the kubelet has started."""

    def __init__(self, ground: Ground, installation: str) -> None:
        self.ground, self.label = ground, f"towline.installation={installation}"
        self.together: dict[str, set[str]] = {}  # by job: pods of it that ran at the same time
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True, name="witness")
        self._thread.start()

    def close(self) -> None:
        self._over.set()
        self._thread.join(30)

    def left(self) -> list[str]:
        found = [*self.ground.listed("pods", self.label), *self.ground.listed("secrets", self.label)]
        return [str(each["metadata"]["name"]) for each in found]

    def started(self) -> dict[str, Counter[str]]:
        """By the pod's name: the uids that were started, and how often."""
        found: dict[str, Counter[str]] = defaultdict(Counter)
        for event in self.ground.listed("events"):
            if event["reason"] == "Started":
                about = event["involvedObject"]
                found[about["name"]][about["uid"]] += event.get("count") or 1
        return found

    def _watch(self) -> None:
        while not self._over.wait(LOOK_SECONDS):
            try:
                pods = self.ground.listed("pods", self.label)
            except (Unavailable, ApiError):
                continue  # it is away, as it is meant to be
            running: dict[str, set[str]] = defaultdict(set)
            for pod in pods:
                states = pod["status"].get("containerStatuses") or [{"state": {}}]
                if "running" in states[0]["state"]:
                    running[pod["metadata"]["labels"]["towline.job"]].add(pod["metadata"]["name"])
            self.together.update({job: names for job, names in running.items() if len(names) > 1})


def the_cluster_agrees(accounts: list[Account], installation: str, witness: ClusterWitness) -> Iterator[str]:
    """I2, I3 by the API server: no attempt began twice, no two of one job at a time."""
    started = witness.started()
    for account in accounts:
        for attempt in account.attempts:
            name = account.name_of(installation, attempt["number"])
            if sum(started[name].values()) > 1:
                yield f"I3 {account.story.id}: pods of attempt {attempt['number']} were started: {started[name]}"
        if both := witness.together.get(account.story.id):
            yield f"I2 {account.story.id}: {both} ran at the same time"
