"""Is what this container serves of use? Exit code 0 or 1. Standard library only: it is started every few seconds.

Web and Flower are asked. The other roles have no port: for them a running process counts as healthy here, and
`GET /api/v1/workers/` says what their heartbeat says.
"""

from __future__ import annotations

import itertools
import os
import sys
import urllib.request
from pathlib import Path

DIRECTLY = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy would look for loopback at itself
DOORS = {"web": (8000, "/healthz/live"), "flower": (5555, "/healthcheck")}


def main() -> int:
    words = Path("/proc/1/cmdline").read_text().split("\0")
    role = next((word for before, word in itertools.pairwise(words) if before == "serve"), "")
    if role not in DOORS:
        return 0
    port, path = DOORS[role]
    if "--port" in words:
        port = int(words[words.index("--port") + 1])
    return 0 if answers(f"http://127.0.0.1:{port}{path}") else 1


def answers(url: str) -> bool:
    """As a proxy would ask: by a name that the web process answers to, and over what it takes for TLS."""
    name = os.environ.get("TOWLINE_ALLOWED_HOSTS", "localhost").split(",")[0].strip().lstrip(".*")
    headers = {"Host": name or "localhost", "X-Forwarded-Proto": "https"}
    try:
        with DIRECTLY.open(urllib.request.Request(url, headers=headers), timeout=4) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except OSError:
        return False


if __name__ == "__main__":
    sys.exit(main())
