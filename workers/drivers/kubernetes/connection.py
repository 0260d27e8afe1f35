"""The border with a cluster: JSON in, JSON out, and every failure to ask becomes `Unavailable`.

The official client finds the way (service account or kubeconfig), keeps tokens and certificates fresh, and holds the pool of
connections; it is imported when first needed. Its models are left out: building them costs more than all the rest of an
answer, and what is judged later is the JSON. What the API server refuses (4xx) is an `ApiError`, for callers that know what
it means; a right that is missing is not among that, except on a create: who took a rule away has ended no job.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import orjson

from workers.drivers.protocol import Unavailable

if TYPE_CHECKING:
    from kubernetes.client import ApiClient
    from urllib3 import HTTPResponse

TOKEN = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
JSON, MERGE_PATCH = "application/json", "application/merge-patch+json"
CONNECT_SECONDS = 5.0
READ_SECONDS = 30.0
CONNECTIONS = 1024  # kept at most; each follower of a log holds one
BUSY = (429, 503)
TRIES, WAIT_SECONDS = 4, 5.0  # of an API server that is busy, and how long it is waited for at a time


class ApiError(Exception):
    """The API server's own no. `reason` and `message` are its `Status`'s; `body` all it said."""

    def __init__(self, status: int, reason: str, message: str, body: bytes = b"") -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status, self.reason, self.message, self.body = status, reason, message, body


class Forbidden(Unavailable):
    """We have not the right to ask that."""


@contextmanager
def asking(what: str) -> Iterator[None]:
    """Turn a no that nobody expected into `Unavailable`, in the API server's own words."""
    try:
        yield
    except ApiError as error:
        raise Unavailable(f"the cluster failed to {what}: {error}") from error


@dataclass(frozen=True)
class _Held:
    """`process`: sockets are not to be shared with a process forked off later."""

    api: ApiClient
    process: int


class Cluster:
    """One cluster. `context` names one of the kubeconfig's; None is the cluster we run in, else the current context.

    Safe to use from many threads. Connects when first asked.
    """

    def __init__(self, context: str | None = None) -> None:
        self.context = context
        self._held: _Held | None = None
        self._lock = threading.Lock()

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        content_type: str | None = None,
        read_seconds: float | None = None,
    ) -> Any:
        """The decoded answer. Waits a little for a busy API server; asks nothing twice that might have been done."""
        headers = {"Content-Type": content_type or JSON} if body is not None else {}
        data = None if body is None else orjson.dumps(body)
        with self._answer(method, path, query, data, headers, read_seconds or READ_SECONDS) as answer:
            content = answer.read()
        try:
            return orjson.loads(content)
        except orjson.JSONDecodeError as error:
            raise Unavailable(f"the cluster's answer to {method} {path} is no JSON: {content[:200]!r}") from error

    @contextmanager
    def stream(
        self, path: str, *, query: Mapping[str, Any] | None = None, read_seconds: float
    ) -> Iterator[HTTPResponse]:
        """An answer that is read as it comes. `read_seconds`: of silence, after which reading raises `Unavailable`."""
        with self._answer("GET", path, query, None, {}, read_seconds) as answer:
            yield answer

    @contextmanager
    def _answer(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None,
        body: bytes | None,
        headers: dict[str, str],
        read_seconds: float,
    ) -> Iterator[HTTPResponse]:
        with _reaching(f"{method} {path}"):
            answer = self._patiently(method, path, query, body, headers, read_seconds)
            whole = False
            try:
                if answer.status >= 400:
                    self._refuse(method, path, answer.status, answer.read())
                yield answer
                whole = True
            finally:
                # What was read to its end has given its connection back already; the rest of a stream nobody wants.
                if not whole or not answer.isclosed():
                    answer.close()
                answer.release_conn()

    def _patiently(self, method: str, path: str, query: Any, body: Any, headers: Any, read_seconds: float) -> Any:
        for tried in range(1, TRIES + 1):
            answer = self._ask(method, path, query, body, dict(headers), read_seconds)
            after = answer.headers.get("Retry-After", "")
            if answer.status not in BUSY or not after.isdigit() or tried == TRIES:
                break
            answer.drain_conn()
            time.sleep(min(float(after), WAIT_SECONDS))
        return answer

    def _ask(self, method: str, path: str, query: Any, body: Any, headers: Any, read_seconds: float) -> Any:
        from urllib3 import Timeout
        from urllib3.exceptions import ProtocolError

        api = self._api()
        told = list((query or {}).items())
        api.update_params_for_auth(headers, told, ["BearerToken"], path, method, body)
        url = api.configuration.host + path + (f"?{urlencode(told)}" if told else "")
        how = {
            "body": body,
            "headers": {"Accept": JSON, "User-Agent": "towline", **headers},
            "timeout": Timeout(connect=CONNECT_SECONDS, read=read_seconds),
        }
        pool = api.rest_client.pool_manager
        try:
            return pool.request(method, url, retries=False, preload_content=False, **how)
        except ProtocolError:
            if method != "GET":
                raise
            # A kept connection that the server was just closing; reading may be repeated.
            return pool.request(method, url, retries=False, preload_content=False, **how)

    def _refuse(self, method: str, path: str, status: int, content: bytes) -> None:
        reason, message = _words(content)
        error = ApiError(status, reason, message, content)
        if status == 401:
            self._forget()  # the token is stale: the way is looked up anew
            raise Unavailable(f"the cluster does not know who we are: {message}") from error
        if status == 403 and method != "POST":
            raise Forbidden(f"we may not {method} {path}: {message}") from error
        if status >= 500:
            raise Unavailable(f"the cluster failed at {method} {path}: {error}") from error
        raise error

    def _api(self) -> ApiClient:
        held = self._held
        if held is None or held.process != os.getpid():
            with self._lock:
                held = self._held
                if held is None or held.process != os.getpid():
                    held = self._held = _Held(_connect(self.context), os.getpid())
        return held.api

    def _forget(self) -> None:
        with self._lock:
            self._held = None


def _connect(context: str | None) -> ApiClient:
    from kubernetes.client import ApiClient, Configuration
    from kubernetes.config import ConfigException, load_incluster_config, load_kube_config

    told = Configuration()
    told.connection_pool_maxsize, told.keep_alive = CONNECTIONS, True
    try:
        if context is None and TOKEN.exists():
            load_incluster_config(client_configuration=told)  # type: ignore[no-untyped-call]
        else:
            # The client itself looks at KUBECONFIG when it is imported, which may have been long ago.
            file = os.environ.get("KUBECONFIG", "~/.kube/config")
            load_kube_config(file, context, client_configuration=told, persist_config=False)  # type: ignore[no-untyped-call]
        return ApiClient(told)
    except (ConfigException, OSError, ValueError) as error:
        where = f"the context {context}" if context else "the cluster"
        raise Unavailable(f"no way to {where}: {error}") from error


@contextmanager
def _reaching(what: str) -> Iterator[None]:
    from kubernetes.config import ConfigException
    from urllib3.exceptions import HTTPError

    try:
        yield
    except (HTTPError, OSError, ConfigException) as error:  # a refreshed token is read from a file
        raise Unavailable(f"could not ask the cluster: {what}: {error}") from error


def _words(content: bytes) -> tuple[str, str]:
    """Reason and message of a `Status`; of anything else, its beginning."""
    with suppress(orjson.JSONDecodeError):
        told = orjson.loads(content)
        if isinstance(told, dict):
            return str(told.get("reason") or ""), str(told.get("message") or "")
    return "", content[:500].decode(errors="replace").strip()
