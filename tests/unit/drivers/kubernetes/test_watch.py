"""One watch for all pods: whatever the API server does to it, what is known of a pod is its latest."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest

from tests.unit.drivers.kubernetes.api import Answer, Api, Asked, no
from tests.unit.drivers.kubernetes.conftest import Serve
from tests.unit.drivers.kubernetes.pods import pod
from workers.drivers.kubernetes.connection import Cluster
from workers.drivers.kubernetes.sightings import Sightings
from workers.drivers.kubernetes.watch import Watch, lines_of


def told(phase: str, version: int, uid: str = "u1") -> dict[str, Any]:
    return pod({"phase": phase}, uid=uid, resourceVersion=str(version))


def event(kind: str, thing: dict[str, Any]) -> bytes:
    return json.dumps({"type": kind, "object": thing}).encode() + b"\n"


def listing(*pods: dict[str, Any], version: int = 1) -> Answer:
    return Answer({"items": list(pods), "metadata": {"resourceVersion": str(version)}})


def phase(watch: Watch, uid: str = "u1") -> str | None:
    seen = watch.seen(uid)
    if seen is None or seen.gone:
        return None if seen is None else "gone"
    assert seen.pod
    return str(seen.pod["status"]["phase"])


def eventually(holds: Callable[[], bool]) -> None:
    limit = time.monotonic() + 15
    while not holds():
        assert time.monotonic() < limit, "it never came"
        time.sleep(0.01)


class Script:
    """Lists and watches, each answered by the next of its script; the last list again and again, then silence."""

    def __init__(self, lists: list[Answer], watches: list[Answer | list[bytes]]) -> None:
        self.lists, self.watches = lists, watches
        self.listed, self.watched = count(), count()
        self.over = threading.Event()

    def __call__(self, asked: Asked) -> Answer:
        if "watch" not in asked.query:
            return self.lists[min(next(self.listed), len(self.lists) - 1)]
        number = next(self.watched)
        told = self.watches[number] if number < len(self.watches) else self.quiet()
        return told if isinstance(told, Answer) else Answer(iter(told))

    def quiet(self) -> Answer:
        def nothing() -> Iterator[bytes]:
            yield event("BOOKMARK", {"metadata": {"resourceVersion": "99"}})
            self.over.wait(30)

        return Answer(nothing())


def watching(serve: Serve, script: Script) -> tuple[Watch, Api]:
    api = serve(script)
    watch = Watch(Cluster(), "jobs", lasts_seconds=1, silence_seconds=0)
    watch.seen("u1")
    return watch, api


def test_it_asks_once_for_all_and_goes_on_from_there(serve: Serve) -> None:
    script = Script([listing(told("Pending", 5), version=7)], [[event("MODIFIED", told("Running", 8))]])
    watch, api = watching(serve, script)
    eventually(lambda: phase(watch) == "Running" and len(api.asked) >= 3)
    script.over.set()
    first, second, third = api.asked[:3]
    assert first.query == {"labelSelector": "towline.installation"}
    assert (second.query["resourceVersion"], second.query["allowWatchBookmarks"]) == ("7", "true")
    assert int(second.query["timeoutSeconds"]) == 1
    # It ended in order, so nothing is listed again.
    assert (third.query["watch"], third.query["resourceVersion"]) == ("1", "8")


@pytest.mark.parametrize(
    "broken",
    [
        no(410, "Expired", "too old resource version"),
        Answer(iter([event("ERROR", {"code": 410, "message": "too old"})])),
        Answer(iter([event("MODIFIED", told("Running", 8))[:40]]), cut=True),
        Answer(cut=True),
        Answer(iter([b"no json\n"])),
        no(500, "Internal", "oops"),
        no(403, "Forbidden", "no right"),
    ],
    ids=["410", "410 inside", "cut", "dropped", "nonsense", "500", "403"],
)
def test_on_any_trouble_it_lists_again(serve: Serve, broken: Answer) -> None:
    script = Script([listing(told("Pending", 5)), listing(told("Succeeded", 50), version=50)], [broken])
    watch, _ = watching(serve, script)
    eventually(lambda: phase(watch) == "Succeeded")
    script.over.set()


def test_a_watch_that_falls_silent_is_given_up(serve: Serve) -> None:
    script = Script([listing(told("Pending", 5)), listing(told("Failed", 50))], [])
    script.watches.append(script.quiet())
    watch, api = watching(serve, script)
    eventually(lambda: phase(watch) == "Failed")
    script.over.set()
    assert len([asked for asked in api.asked if "watch" not in asked.query]) >= 2


def test_who_is_not_in_the_list_is_gone_and_remembered(serve: Serve) -> None:
    script = Script([listing(told("Running", 5)), listing(version=50)], [no(410, "Expired", "too old")])
    watch, _ = watching(serve, script)
    eventually(lambda: phase(watch) == "gone")
    script.over.set()
    seen = watch.last_of("u1")
    assert seen
    assert seen.pod
    assert seen.pod["status"]["phase"] == "Running"


def test_nothing_is_known_before_the_first_list_nor_of_strangers(serve: Serve) -> None:
    script = Script([listing(told("Running", 5))], [])
    watch, _ = watching(serve, script)
    eventually(watch.is_healthy)
    assert phase(watch, "another") is None
    script.over.set()


def test_without_an_api_server_nothing_is_known_and_asking_costs_nothing(serve: Serve) -> None:
    script = Script([no(500, "Internal", "oops")], [])
    watch, api = watching(serve, script)
    eventually(lambda: len(api.asked) >= 2)
    assert watch.seen("u1") is None
    assert not watch.is_healthy()


def test_it_ends_with_whoever_had_it(serve: Serve) -> None:
    script = Script([no(500, "Internal", "oops")], [])
    watch, api = watching(serve, script)
    eventually(lambda: len(api.asked) >= 1)
    thread = watch._thread
    assert thread
    del watch
    eventually(lambda: not thread.is_alive())


def test_told_twice_or_out_of_order_the_newest_counts() -> None:
    known = Sightings()
    for phase_now, version in (("Running", 9), ("Pending", 8), ("Running", 9), ("Succeeded", 10), ("Running", 9)):
        known.saw(told(phase_now, version))
    seen = known.of("u1")
    assert seen
    assert seen.pod
    assert (seen.pod["status"]["phase"], seen.version) == ("Succeeded", 2)


def test_versions_that_are_no_numbers_are_taken_as_they_come() -> None:
    known = Sightings()
    for phase_now, version in (("Pending", "b"), ("Running", "a"), ("Running", "a")):
        known.saw(pod({"phase": phase_now}, resourceVersion=version))
    seen = known.of("u1")
    assert seen
    assert seen.pod
    assert (seen.pod["status"]["phase"], seen.version) == ("Running", 2)


def test_the_dead_do_not_rise() -> None:
    known = Sightings()
    known.saw(told("Running", 5))
    known.lost("u1", told("Failed", 7))
    known.saw(told("Running", 6))
    known.saw(told("Running", 8))
    seen = known.of("u1")
    assert seen
    assert seen.gone
    assert seen.pod
    assert seen.pod["status"]["phase"] == "Failed"


def test_one_who_waits_is_woken_by_his_own_pod_alone() -> None:
    known = Sightings()
    known.saw(told("Pending", 1))
    began = threading.Event()
    woken: list[bool] = []

    def wait() -> None:
        began.set()
        woken.append(known.wait("u1", 1, 20))

    waiter = threading.Thread(target=wait)
    waiter.start()
    began.wait(5)
    known.saw(told("Running", 2, uid="another"))
    waiter.join(0.2)
    assert waiter.is_alive()
    known.saw(told("Running", 3))
    waiter.join(5)
    assert woken == [True]
    assert known.wait("u1", 0, 20)  # there is something newer already
    assert not known.wait("u1", 99, 0.01)


def test_lines_come_whole_however_they_are_cut() -> None:
    text = b'{"a": 1}\n\n{"b": 2}\n{"half'
    for size in range(1, len(text)):
        parts = [text[at : at + size] for at in range(0, len(text), size)]
        assert list(lines_of(iter(parts))) == [b'{"a": 1}', b'{"b": 2}']
