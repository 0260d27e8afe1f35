"""One sample of what a container uses, from the engine's statistics. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workers.drivers.protocol import Usage


def usage_of(stats: Mapping[str, Any]) -> Usage | None:
    """None for a container that is not running: the engine then answers with empty statistics.

    Memory is without the page cache that the kernel would give back, as `docker stats` shows it. The peak is the
    kernel's on cgroup v1, page cache included; cgroup v2 engines tell none, so it is the present use there.
    """
    memory = stats.get("memory_stats") or {}
    if "usage" not in memory:
        return None
    detail = memory.get("stats") or {}
    cache = detail.get("total_inactive_file", detail.get("inactive_file", 0))
    used = int(memory["usage"])
    return Usage(
        cpu_seconds=stats["cpu_stats"]["cpu_usage"]["total_usage"] / 1e9,
        memory_bytes=max(0, used - int(cache)),
        memory_peak_bytes=max(used, int(memory.get("max_usage", 0))),
        pids=(stats.get("pids_stats") or {}).get("current"),
    )
