"""What the workers have left, read from the database: the floor that jobs are placed on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from django.conf import settings

from jobs.models import Attempt
from jobs.needs import Needs
from jobs.states import ACTIVE_ATTEMPT

from .models import Worker, WorkerState
from .placement import Floor, Pool, Site, is_able, why_none


def read_floor() -> Floor:
    workers = list(Worker.objects.with_clock())
    pools = _pool_names(workers)
    sites = [site for worker in workers for site in _sites(worker, pools)]
    floor = Floor(sites, {worker.name: _slots(worker) for worker in workers}, _full_pools(sites))
    active = Attempt.objects.filter(state__in=ACTIVE_ATTEMPT)
    for worker, engine, project, needs, group in active.values_list(
        "worker", "engine", "job__project_id", "job__needs", "job__concurrency_group"
    ):
        floor.under_way[project] += 1
        if group:
            floor.groups[group] += 1
        if worker in floor.slots:
            floor.slots[worker] -= 1
        if engine in pools:
            floor.pools[pools[engine]].take(Needs.from_json(needs))
        else:
            floor.given[engine] += 1
    return floor


def outlook(needs: Needs) -> tuple[str, str] | None:
    """Why no registered worker could ever run it; None when one could, if only later."""
    sites = _all_sites()
    return None if any(is_able(site, needs) for site in sites) else why_none(needs, sites)


def most_memory(needs: Needs) -> int | None:
    """Bytes of the biggest engine that could run it otherwise; None when there is none."""
    able = [site.memory_bytes for site in _all_sites() if is_able(site, needs.with_memory(0))]
    return max(able, default=None)


def is_queue(engine: str, needs: Needs) -> bool:
    """Whether a cluster that has no room for it now would have some were it empty, as far as its size is known."""
    sites = [site for site in _all_sites() if site.engine == engine]
    return any(not site.cpus or site.has_amounts(needs) for site in sites)


def _all_sites() -> list[Site]:
    return [site for worker in Worker.objects.with_clock() for site in _sites(worker, {})]


def _slots(worker: Worker) -> int:
    return worker.slots if worker.state == WorkerState.ONLINE else 0


def _sites(worker: Worker, pools: dict[str, str]) -> Iterator[Site]:
    for engine in worker.engines:
        yield Site(
            worker=worker.name,
            engine=engine["id"],
            runtime=engine["runtime"],
            arch=engine["arch"],
            cpus=engine["cpus"],
            memory_bytes=engine["memory_bytes"],
            gpus=engine["gpus"],
            region=worker.region,
            labels=worker.labels,
            pool=pools.get(engine["id"], ""),
            available=worker.state == WorkerState.ONLINE,
            why_not=worker.state.value,
            elastic=engine.get("elastic", False),
        )


def _pool_names(workers: Iterable[Worker]) -> dict[str, str]:
    """By engine. Engines that one worker reaches are of one machine, and so are those of workers that share an engine.

    A cluster has none: it is no part of the worker's machine, and shares out what it has by itself.
    """
    names: dict[str, str] = {}
    for worker in workers:
        ids = [engine["id"] for engine in worker.engines if not engine.get("elastic")]
        joined = {names.get(engine, engine) for engine in ids}
        name = min(joined, default="")
        names = {engine: name if old in joined else old for engine, old in names.items()} | dict.fromkeys(ids, name)
    return names


def _full_pools(sites: Iterable[Site]) -> dict[str, Pool]:
    overcommit = settings.TOWLINE.TOWLINE_CPU_OVERCOMMIT
    pools: dict[str, Pool] = {}
    for site in sites:
        if site.elastic:
            continue
        had = pools.get(site.pool, Pool(0, 0, 0))
        pools[site.pool] = Pool(
            max(had.cpus, site.cpus * overcommit), max(had.memory_bytes, site.memory_bytes), max(had.gpus, site.gpus)
        )
    return pools
