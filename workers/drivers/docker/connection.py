"""The border with the engine: one SDK client per thread, and every failure to ask becomes `Unavailable`.

What the engine refuses (4xx) stays an `APIError` inside `asking`, for the callers that know what it means.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPException
from socket import socket
from typing import Any

from docker import APIClient
from docker.errors import APIError, DockerException, create_api_error_from_http_exception
from docker.utils import kwargs_from_env
from requests import HTTPError, Response
from requests.exceptions import RequestException
from urllib3.exceptions import HTTPError as Urllib3Error

from workers.drivers.protocol import Unavailable

CONNECT_SECONDS = 10.0


@contextmanager
def asking(what: str) -> Iterator[None]:
    """Turn everything that only says "could not ask" into `Unavailable`, in the engine's own words."""
    try:
        yield
    except APIError as error:
        raise Unavailable(f"the engine failed to {what}: {text_of(error)}") from error
    except (RequestException, Urllib3Error, DockerException, HTTPException, OSError) as error:
        raise Unavailable(f"could not ask the engine to {what}: {error}") from error


def text_of(error: APIError) -> str:
    """The engine's sentence without the SDK's wrapping."""
    return str(error.explanation or error)


class Connection:
    """Clients for one engine, made when first needed. `base_url` None follows DOCKER_HOST, else the local socket."""

    def __init__(self, base_url: str | None, timeout_seconds: float) -> None:
        self._base_url = base_url
        self._timeout = timeout_seconds
        self._local = threading.local()
        self._api_version: str | None = None

    @property
    def client(self) -> APIClient:
        """This thread's client: a requests session is not promised to be safe between threads."""
        client: APIClient | None = getattr(self._local, "client", None)
        if client is None:
            client = self._local.client = self._connect()
        return client

    @contextmanager
    def anew(self) -> Iterator[Connection]:
        """Another connection to the same engine, for a while: whether it still takes any is what a kept one does not show."""
        another = Connection(self._base_url, self._timeout)
        try:
            yield another
        finally:
            if (client := getattr(another._local, "client", None)) is not None:
                client.close()

    def _connect(self) -> APIClient:
        """The version is agreed on once: a client that asks for it costs 7 ms, and every log reader is a new thread."""
        where: dict[str, Any] = {"base_url": self._base_url} if self._base_url else dict(kwargs_from_env())
        client = APIClient(timeout=self._timeout, version=self._api_version, **where)  # type: ignore[arg-type]  # seconds may be a float
        self._api_version = client.api_version
        # A local socket has no proxy and no .netrc: looking for them is a sixth of what a request costs us.
        client.trust_env = not client.base_url.startswith("http+docker:")
        return client

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        read_seconds: float,
        stream: bool = False,
    ) -> Response:
        """One call of the Engine API with its own read time-out, which the SDK's methods switch off for streams."""
        client = self.client
        response = client.request(
            method,
            f"{client.base_url}/v{client.api_version}{path}",
            params=params,
            headers=headers,
            timeout=(CONNECT_SECONDS, read_seconds),
            stream=stream,
        )
        try:
            response.raise_for_status()
        except HTTPError as error:
            create_api_error_from_http_exception(error)
        return response


def socket_of(response: Response) -> socket:
    """The socket under a streamed response, where the SDK takes it from too."""
    found: socket = response.raw._fp.fp.raw._sock  # type: ignore[union-attr]
    return found
