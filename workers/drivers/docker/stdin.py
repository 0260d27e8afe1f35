"""Feeding a container's stdin over the engine's attach connection, and ending it.

Attached before the start, because an engine forwards only to whom is there then; written after it, in a thread of its
own, because a container that does not read would hold the writer up for ever. Up to 64 KiB fit into the pipe at once
and are safe as soon as the container runs. Of a longer text a container that reads late gets only the beginning when
the worker dies before.
"""

from __future__ import annotations

import contextlib
import threading
from socket import SHUT_WR

from requests import Response

from workers.drivers.docker.connection import Connection, socket_of


class Stdin:
    """One attached container, to be fed once."""

    def __init__(self, attached: Response, data: bytes) -> None:
        self._attached = attached
        # The SDK's attach_socket takes the same way, but waits for ever for an engine that does not answer.
        self._socket = socket_of(attached)
        self._socket.settimeout(None)
        self._data = data

    @classmethod
    def attach(cls, connection: Connection, uid: str, text: str, read_seconds: float) -> Stdin:
        attached = connection.request(
            "POST",
            f"/containers/{uid}/attach",
            params={"stdin": 1, "stream": 1},
            headers={"Connection": "Upgrade", "Upgrade": "tcp"},
            read_seconds=read_seconds,
            stream=True,
        )
        return cls(attached, text.encode())

    def feed(self) -> None:
        """Returns at once."""
        threading.Thread(target=self._write, name="towline-stdin", daemon=True).start()

    def close(self) -> None:
        self._attached.close()
        self._socket.close()

    def _write(self) -> None:
        with contextlib.suppress(OSError):  # it may end without reading
            self._socket.sendall(self._data)
            self._socket.shutdown(SHUT_WR)
        self.close()
