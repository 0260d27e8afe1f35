"""Whether a cluster tells stdout and stderr apart: asked once, and never taken for granted.

`stream=` of the log endpoint is behind the feature gate PodLogsQuerySplitStreams. Where that is off, it is refused; an API
server that is older drops it like any parameter that it does not know, and serves all. So two are asked for: one that is
known where it is offered, and one that nobody knows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workers.drivers.kubernetes.answers import is_refusal
from workers.drivers.kubernetes.reader import READ_SECONDS, path_of
from workers.drivers.kubernetes.reading import JOB

if TYPE_CHECKING:
    from workers.drivers.kubernetes.reader import Streaming

KNOWN, UNKNOWN = "Stdout", "Neither"


class Offer:
    """What is known of it; `None`: nothing yet."""

    def __init__(self) -> None:
        self._made: bool | None = None

    def is_made(self, cluster: Streaming, pod: tuple[str, str], *, otherwise: bool) -> bool:
        """Asked with the log of a pod that has begun. Where that fails it is taken to be `otherwise`, and asked again."""
        if self._made is None:
            try:
                self._made = _takes(cluster, pod, KNOWN) and not _takes(cluster, pod, UNKNOWN)
            except Exception:  # noqa: BLE001  # whoever reads the log hears it again, and says what it means
                return otherwise
        return self._made

    def withdraw(self) -> None:
        self._made = False


def _takes(cluster: Streaming, pod: tuple[str, str], stream: str) -> bool:
    query = {"container": JOB, "stream": stream, "limitBytes": "1"}
    try:
        with cluster.stream(path_of(pod), query=query, read_seconds=READ_SECONDS):
            return True
    except Exception as error:
        if is_refusal(error):
            return False
        raise
