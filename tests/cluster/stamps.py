"""Times as Kubernetes writes them."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime

NANOSECONDS = re.compile(r"(.*?)(?:\.(\d{1,9}))?(?:Z|([+-]\d\d:\d\d))")
NEVER = "1970-01-01T00:00:00Z"


def second(at: float | None = None) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() if at is None else at))


def micro(at: float | None = None) -> str:
    moment = datetime.fromtimestamp(time.time() if at is None else at, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def nano(at_ns: int) -> str:
    """With nine digits, always: so the kubelet writes the stamps of log lines."""
    whole, rest = divmod(at_ns, 10**9)
    return f"{second(whole)[:-1]}.{rest:09d}Z"


def nanoseconds(text: str) -> int:
    """Since the epoch. Raises `ValueError`."""
    match = NANOSECONDS.fullmatch(text.strip())
    if not match:
        raise ValueError(text)
    moment = datetime.fromisoformat(match[1] + (match[3] or "+00:00"))
    return int(moment.timestamp()) * 10**9 + int((match[2] or "0").ljust(9, "0"))
