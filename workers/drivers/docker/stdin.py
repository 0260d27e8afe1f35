"""Feeding a container's stdin over the engine's attach connection, and ending it.

Attached before the start, because an engine forwards only to whom is there then; written after it, in a thread of its
own, because a container that does not read would hold the writer up for ever. Up to 64 KiB fit into the pipe at once
and are safe as soon as the container runs. Of a longer text a container that reads late gets only the beginning when
the worker dies before.
"""

from __future__ import annotations

import contextlib
import threading
from socket import SHUT_WR, socket

from docker import APIClient


class Stdin:
    """One attached container, to be fed once."""

    def __init__(self, connection: socket, data: bytes) -> None:
        self._socket = connection
        self._data = data

    @classmethod
    def attach(cls, client: APIClient, uid: str, text: str) -> Stdin:
        attached = client.attach_socket(uid, params={"stdin": 1, "stream": 1})
        connection: socket = getattr(attached, "_sock", attached)
        connection.settimeout(None)
        return cls(connection, text.encode())

    def feed(self) -> None:
        """Returns at once."""
        threading.Thread(target=self._write, name="towline-stdin", daemon=True).start()

    def close(self) -> None:
        self._socket.close()

    def _write(self) -> None:
        with self._socket as connection, contextlib.suppress(OSError):  # it may end without reading
            connection.sendall(self._data)
            connection.shutdown(SHUT_WR)
