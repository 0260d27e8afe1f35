"""What an answer of the log endpoint that brings no output means. Pure.

The kubelet says some of it with status 200, as the text of the answer.
"""

from __future__ import annotations

from workers.drivers.output import Missing
from workers.drivers.protocol import Unavailable, Unreadable

_NOT_BEGUN = ("is waiting to start", "does not have a host assigned")
_NO_CONTAINER = ("is not available", "is terminated")  # the pod's status names none, or none that the kubelet can find
KUBELET_SECONDS = 180.0  # in which one that is started anew, or its node, is back
_BUSY = (429, 503, 504)  # the API server's own trouble, not the kubelet's


class EndedError(Exception):
    """There is nothing to be read, or not yet. `missing`: nor will there be."""

    def __init__(self, missing: Missing | None = None) -> None:
        super().__init__(missing)
        self.missing = missing


class UntoldError(Exception):
    """Streams can't be read one by one; nothing was given of what shows it.

    `mixed`: those of this pod, as both wrote parts of lines at the same time: the kubelet puts a stamp where a line
    begins in its file, whoever's the line before was, so that one begins without and another has one in its middle.
    Else: of no pod, the cluster does not tell them apart, or not any more.
    """

    def __init__(self, *, mixed: bool = False) -> None:
        super().__init__(mixed)
        self.mixed = mixed


def is_refusal(error: Exception) -> bool:
    """Whether it is the parameter `stream` that is not taken. Where it is not offered that is a 422."""
    status, message = _told(error)
    return status == 422 or (status == 400 and "stream" in message)


def meaning_of(error: Exception, *, live: bool = False) -> Exception:
    """Of what `Cluster.stream` raised. An answer that is an error has a status, itself or as the cause of `Unavailable`.

    The kubelet's own 404 is no pod gone: it may not have heard of it again since it was started. A 500 is the API server's
    word that it does not reach the kubelet: that may be back, with the log, unless the node is given up. `live`: of a pod
    that runs, so a container that is not known may be so in a moment.
    """
    status, message = _told(error)
    if not isinstance(status, int):
        return error
    if status == 404 and message.startswith('pods "'):
        return EndedError(Missing("removed"))
    if status == 400 and any(words in message for words in _NOT_BEGUN):
        return EndedError()
    if status == 400 and any(words in message for words in _NO_CONTAINER):
        return EndedError(None if live else Missing("removed"))
    return Unavailable(message) if status in (401, 403, *_BUSY) else Unreadable(message, KUBELET_SECONDS)


def _told(error: Exception) -> tuple[object, str]:
    answer = error.__cause__ if isinstance(error, Unavailable) and error.__cause__ else error
    return getattr(answer, "status", None), str(getattr(answer, "message", "") or answer)


def says_gone(sentence: str) -> bool:
    """What the kubelet says when the container is not there any more; but also while its runtime does not answer."""
    return sentence.startswith("unable to retrieve container logs for")
