"""What an answer of the log endpoint that brings no output means. Pure.

The kubelet says some of it with status 200, as the text of the answer.
"""

from __future__ import annotations

from workers.drivers.output import Missing
from workers.drivers.protocol import Unavailable, Unreadable

_NOT_BEGUN = ("is waiting to start", "does not have a host assigned")
_BUSY = (429, 503, 504)  # the API server's own trouble, not the kubelet's


class EndedError(Exception):
    """There is nothing to be read, or not yet. `missing`: nor will there be."""

    def __init__(self, missing: Missing | None = None) -> None:
        super().__init__(missing)
        self.missing = missing


def meaning_of(error: Exception) -> Exception:
    """Of what `Cluster.stream` raised. An answer that is an error has a status, itself or as the cause of `Unavailable`.

    The kubelet's own 404 is no pod gone: it may not have heard of it again since it was started. A 500 is the API server's
    word that it does not reach the kubelet; of a pod that is over with its node that stays so.
    """
    answer = error.__cause__ if isinstance(error, Unavailable) and error.__cause__ else error
    status = getattr(answer, "status", None)
    message = str(getattr(answer, "message", "") or answer)
    if not isinstance(status, int):
        return error
    if status == 404 and message.startswith('pods "'):
        return EndedError(Missing("removed"))
    if status == 400 and any(words in message for words in _NOT_BEGUN):
        return EndedError()
    return Unavailable(message) if status in (401, 403, *_BUSY) else Unreadable(message)


def says_gone(sentence: str) -> bool:
    """What the kubelet says when the container is not there any more; but also while its runtime does not answer."""
    return sentence.startswith("unable to retrieve container logs for")
