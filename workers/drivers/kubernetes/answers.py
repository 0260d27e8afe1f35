"""What an answer of the log endpoint that brings no output means. Pure.

The kubelet says some of it with status 200, as the text of the answer.
"""

from __future__ import annotations

from workers.drivers.output import Missing
from workers.drivers.protocol import Unavailable, Unreadable

_BUSY = (429, 503, 504)  # the API server's own trouble, not the kubelet's


class EndedError(Exception):
    """There is nothing to be read, or not yet. `missing`: nor will there be."""

    def __init__(self, missing: Missing | None = None) -> None:
        super().__init__(missing)
        self.missing = missing


def meaning_of(error: Exception) -> Exception:
    """Of what `Cluster.stream` raised. An answer that is an error has a status; the kubelet's own 404 is no pod gone: it
    may not have heard of it again since it was started."""
    status = getattr(error, "status", None)
    message = str(getattr(error, "message", "") or error)
    if not isinstance(status, int):
        return error
    if status == 404 and message.startswith('pods "'):
        return EndedError(Missing("removed"))
    if status == 400 and "is waiting to start" in message:
        return EndedError()
    return Unavailable(message) if status in _BUSY else Unreadable(message)


def says_gone(sentence: str) -> bool:
    """What the kubelet says when the container is not there any more; but also while its runtime does not answer."""
    return sentence.startswith("unable to retrieve container logs for")
