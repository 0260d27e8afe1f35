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
from docker.transport import UnixHTTPAdapter
from docker.utils import kwargs_from_env
from requests import HTTPError, Response
from requests.exceptions import RequestException
from urllib3.exceptions import HTTPError as Urllib3Error

from workers.drivers.protocol import Unavailable

CONNECT_SECONDS = 10.0
IDLE_MOST = 8
LOCAL = "http+docker://"  # what the SDK calls an engine behind a local socket


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


class _OneSocket(UnixHTTPAdapter):
    """All of the engine's addresses share connections. The SDK's own adapter opens, and keeps, some for each URL."""

    def get_connection(self, url: str | bytes, proxies: Any = None) -> Any:
        return super().get_connection(self.socket_path, proxies)


class _Held:
    """A thread's client. With the thread it ends, and the client goes to whoever needs one next.

    Left to the garbage collector, which finds a client only now and then, the sockets of every log reader would pile up.
    """

    def __init__(self, client: APIClient, idle: list[APIClient]) -> None:
        self.client = client
        self._idle = idle

    def __del__(self, most: int = IDLE_MOST) -> None:  # by default, as at the interpreter's end globals are gone
        if len(self._idle) < most:
            self._idle.append(self.client)
        else:
            self.client.close()


class Connection:
    """Clients for one engine, made when first needed. `base_url` None follows DOCKER_HOST, else the local socket."""

    def __init__(self, base_url: str | None, timeout_seconds: float) -> None:
        self._base_url = base_url
        self._timeout = timeout_seconds
        self._local = threading.local()
        self._api_version: str | None = None
        self._idle: list[APIClient] = []

    @property
    def client(self) -> APIClient:
        """This thread's client: a requests session is not promised to be safe between threads."""
        held: _Held | None = getattr(self._local, "held", None)
        if held is None:
            held = self._local.held = _Held(self._idle_one() or self._connect(), self._idle)
        return held.client

    def _idle_one(self) -> APIClient | None:
        try:
            return self._idle.pop()
        except IndexError:
            return None

    @contextmanager
    def anew(self) -> Iterator[Connection]:
        """Another connection to the same engine, for a while: whether it still takes any is what a kept one does not show."""
        another = Connection(self._base_url, self._timeout)
        try:
            yield another
        finally:
            if (held := getattr(another._local, "held", None)) is not None:
                held.client.close()

    def _connect(self) -> APIClient:
        """The version is agreed on once: a client that asks for it costs 7 ms, and every log reader is a new thread."""
        where: dict[str, Any] = {"base_url": self._base_url} if self._base_url else dict(kwargs_from_env())
        client = APIClient(timeout=self._timeout, version=self._api_version, **where)  # type: ignore[arg-type]  # seconds may be a float
        self._api_version = client.api_version
        if isinstance(theirs := client.adapters.get(LOCAL), UnixHTTPAdapter):
            client.mount(LOCAL, _OneSocket(f"http+unix://{theirs.socket_path}", self._timeout))  # type: ignore[arg-type]  # seconds may be a float
        # A local socket has no proxy and no .netrc: looking for them is a sixth of what a request costs us.
        client.trust_env = not client.base_url.startswith(LOCAL)
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
