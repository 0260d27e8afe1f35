"""What is done to a cluster and to our pods in it; what it has seen of them is in `witness`.

Faults that need the emulated one are marked so: with a real cluster only pods are deleted, and the platform is broken.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from tests.chaos.faults import World, fault
from tests.system.cluster import Ground
from workers.drivers.kubernetes.connection import ApiError
from workers.drivers.kubernetes.connection import Cluster as Connection
from workers.drivers.protocol import Unavailable

# --- pods -------------------------------------------------------------------------------------------------------------


def _to_pod(world: World, rng: random.Random, how: str, do: Callable[[Ground, str], object]) -> str:
    assert world.ground
    try:
        pods = world.ground.listed("pods", f"towline.installation={world.installation}")
    except Unavailable:
        return "nobody answers"
    running = sorted(pod["metadata"]["name"] for pod in pods if pod["status"].get("phase") == "Running")
    if not running:
        return "none runs"
    world.disturbed[name := rng.choice(running)].add(how)
    try:
        do(world.ground, name)
    except (ApiError, Unavailable) as error:
        return f"{name}: {error}"
    return str(name)


@fault(often=2, needs="cluster")
def delete_pod(world: World, rng: random.Random) -> str:
    def delete(ground: Ground, name: str) -> None:
        Connection().request("DELETE", f"/api/v1/namespaces/{ground.namespace}/pods/{name}")

    return _to_pod(world, rng, "removed", delete)


@fault(needs="emulated")
def preempt_pod(world: World, rng: random.Random) -> str:
    return _to_pod(world, rng, "preempted", lambda ground, name: _do(ground, "preempt", name))


@fault(needs="emulated")
def evict_pod(world: World, rng: random.Random) -> str:
    return _to_pod(world, rng, "evicted", lambda ground, name: _do(ground, "evict", name))


def _do(ground: Ground, action: str, name: str) -> None:
    ground.breakable.do(action, namespace=ground.namespace, name=name)


# --- the API server and the node --------------------------------------------------------------------------------------


def _for_a_while(world: World, what: str, seconds: float, do: Callable[[], Any], undo: Callable[[], Any]) -> str:
    """One thing at a time: undone twice it might come back while it is to be away."""
    if what in world.ongoing:
        return "it is so already"
    world.ongoing.add(what)
    do()
    world.after(seconds, lambda: (undo(), world.ongoing.discard(what)))
    return f"for {seconds:.1f} s"


def _switch(world: World, seconds: float, **switches: Any) -> str:
    assert world.ground
    cluster = world.ground.breakable
    off = dict.fromkeys(switches, 0) | {name: False for name, value in switches.items() if value is True}
    what = " ".join(switches)
    return f"{what} {_for_a_while(world, what, seconds, lambda: cluster.set(**switches), lambda: cluster.set(**off))}"


def _halt(world: World, what: str, seconds: float, stop: str, start: str) -> str:
    assert world.ground
    cluster = world.ground.breakable
    return _for_a_while(world, what, seconds, lambda: cluster.do(stop), lambda: cluster.do(start))


@fault(often=2, needs="emulated")
def stop_api_server(world: World, rng: random.Random) -> str:
    return _halt(world, "api", rng.uniform(1, 8), "stop_api", "start_api")


@fault(often=2, needs="emulated")
def hang_api_server(world: World, rng: random.Random) -> str:
    return _halt(world, "api", rng.uniform(1, 8), "hang_api", "wake_api")


@fault(often=2, needs="emulated")
def stop_kubelet(world: World, rng: random.Random) -> str:
    """Sometimes for so long that its node is not ready."""
    return _halt(world, "kubelet", rng.uniform(0.5, 5), "stop_kubelet", "start_kubelet")


@fault(often=3, needs="emulated")
def drop_streams(world: World, rng: random.Random) -> str:
    assert world.ground
    world.ground.breakable.do("drop_streams")
    return "watches and logs"


@fault(often=2, needs="emulated")
def forget_history(world: World, rng: random.Random) -> str:
    assert world.ground
    world.ground.breakable.do("forget_history")
    world.ground.breakable.do("drop_streams")
    return "410 for who comes back"


@fault(often=2, needs="emulated")
def stammer(world: World, rng: random.Random) -> str:
    return _switch(world, rng.uniform(2, 8), twice=True, reorder=True)


@fault(needs="emulated")
def silence_watches(world: World, rng: random.Random) -> str:
    return _switch(world, rng.uniform(2, 8), silent_watches=True)


@fault(often=2, needs="emulated")
def fail_requests(world: World, rng: random.Random) -> str:
    return _switch(world, rng.uniform(2, 8), error_every=rng.choice([2, 3, 7]))


@fault(needs="emulated")
def refuse_for_load(world: World, rng: random.Random) -> str:
    return _switch(world, 5, too_many=rng.randint(5, 20))


@fault(needs="emulated")
def slow_down(world: World, rng: random.Random) -> str:
    return _switch(world, rng.uniform(2, 6), slow_seconds=rng.uniform(0.2, 1.5))
