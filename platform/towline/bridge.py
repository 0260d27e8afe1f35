"""How containers on this machine's Docker engine reach a platform that listens on loopback: by the engine's own address on its
default network, where `web` then listens, too. What containers call is answered there, and nothing else.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Awaitable, Callable
from contextlib import closing
from urllib.parse import urlsplit

from .serving import Message, Receive, Send

Application = Callable[[Message, Receive, Send], Awaitable[None]]

CALLED = ("/api/v1/otlp/", "/v1/traces")
ASK_SECONDS = 30
log = logging.getLogger(__name__)


def address(engine: str | None, port: int) -> str | None:
    """On which `port` is free. None: no engine answers, or containers are on another machine than we.

    `engine`: its URL, else that of DOCKER_HOST, else the local socket's.
    """
    from docker import APIClient
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    url = engine or os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
    if urlsplit(url).scheme != "unix":
        return None
    try:
        with closing(APIClient(base_url=url, timeout=ASK_SECONDS)) as client:
            network = client.inspect_network("bridge")
        gateways = [each.get("Gateway", "") for each in network["IPAM"]["Config"] or []]
        found = next((each for each in gateways if "." in each), None)
        if found:
            listening(found, port).close()  # an engine in a virtual machine has its bridge there
    except (DockerException, RequestException, OSError, KeyError) as error:
        log.info("containers of this machine's engine can't call the platform: %s", error)
        return None
    return found


def listening(host: str, port: int) -> socket.socket:
    """A socket for IPv4 or IPv6. OSError where the address is not ours, or the port is taken."""
    return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)


def guarded(application: Application, bridge: str) -> Application:
    """What comes in over `bridge` reaches the application only where containers call."""

    async def guard(scope: Message, receive: Receive, send: Send) -> None:
        there = scope["type"] == "http" and (scope.get("server") or [""])[0] == bridge
        if not there or scope["path"].startswith(CALLED):
            await application(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 404, "headers": [(b"content-type", b"text/plain")]})
        await send(
            {"type": "http.response.body", "body": b"Containers send their spans here, and find nothing else.\n"}
        )

    return guard
