"""The API server on its socket: requests in, answers, watches and logs out. It can go away and come back with the same state."""

from __future__ import annotations

import asyncio
import json
import ssl
import weakref
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web

from . import reading
from .api import VERSION, Api
from .discovery import discover
from .faults import Signal, Switchboard
from .metering import measure
from .problems import Problem, not_found
from .resources import METRICS, Asked, parse
from .selectors import selector
from .store import Store
from .watches import LONGEST_SECONDS, Wanted, Watch

QUIET = {"/version", "/healthz", "/livez", "/readyz"}


class Server:
    def __init__(self, store: Store, faults: Switchboard, logs: reading.Logs) -> None:
        self.store, self.faults, self.logs = store, faults, logs
        self.api = Api(store, faults)
        self.streams: set[Any] = set()  # their transports
        self.up = asyncio.Event()
        self.back = Signal()
        self.port = 0
        self.runner: web.ServerRunner | None = None
        self.open: weakref.WeakSet[Any] = weakref.WeakSet()  # transports
        self.tls: ssl.SSLContext | None = None

    async def start(self, port: int = 0) -> None:
        self.runner = web.ServerRunner(web.Server(self.handle, handler_cancellation=True), shutdown_timeout=0)
        await self.runner.setup()
        site = web.TCPSite(
            self.runner, "127.0.0.1", self.port or port, ssl_context=self.tls, reuse_address=True, backlog=1024
        )
        await site.start()
        self.port = self.runner.addresses[0][1]
        self.up.set()

    async def stop(self) -> None:
        """As if it were killed: nobody is told goodbye."""
        self.up.clear()
        runner, self.runner = self.runner, None
        if runner:
            for site in list(runner.sites):
                await site.stop()
            self.drop(list(self.open))
            await runner.cleanup()

    @staticmethod
    def drop(transports: list[Any]) -> None:
        for transport in transports:
            transport.abort()

    def drop_streams(self) -> None:
        """All watches and logs that are followed."""
        self.drop(list(self.streams))

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        transport = request.transport
        assert transport
        self.open.add(transport)
        try:
            return await self._answer(request)
        except Problem as problem:
            return web.json_response(problem.status, status=problem.code, headers=problem.headers)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        await self._spoil(request)
        if (path := request.path.rstrip("/")) in QUIET:
            return web.json_response(VERSION) if path == "/version" else web.Response(text="ok")
        if (told := discover(path)) is not None:
            return web.json_response(told)
        if path.startswith(METRICS):
            labelled = request.query.get("labelSelector", "")
            return web.json_response(measure(self.store, self.logs.node, path.removeprefix(METRICS), labelled))
        query = dict(request.query)
        asked = parse(request.method, request.path, watching=query.get("watch") in ("true", "1"))
        self.api.allow(asked)
        if asked.verb == "watch":
            return await self._stream(request, self._watch(asked, query), "application/json")
        if (asked.resource, asked.subresource) == ("pods", "log"):
            return await self._log(request, asked, query)
        body = json.loads(await request.read() or b"null")
        status, answer = self.api.answer(asked, query, body, request.content_type)
        return web.Response(body=json.dumps(answer).encode(), status=status, content_type="application/json")

    async def _spoil(self, request: web.BaseRequest) -> None:
        """What the switchboard has for this request."""
        faults = self.faults
        faults.requests += 1
        if faults.api_away == "hang":
            while faults.api_away == "hang":
                await self.back.wait(1)
        if faults.slow_seconds:
            await asyncio.sleep(faults.slow_seconds)
        if faults.spend("too_many"):
            problem = Problem(429, "the server has received too many requests and has asked us to try again later")
            problem.headers = {"Retry-After": str(faults.retry_after)}
            raise problem
        if faults.spend("errors") or (faults.error_every and faults.requests % faults.error_every == 0):
            raise Problem(500, "Internal error occurred: etcdserver: request timed out")

    async def _watch(self, asked: Asked, query: dict[str, str]) -> AsyncIterator[bytes]:
        test = selector(query.get("labelSelector", ""), query.get("fieldSelector", ""))
        wanted = Wanted(
            asked.resource, asked.kind, asked.api_version, asked.namespace or None, test,
            query.get("resourceVersion", ""), float(query.get("timeoutSeconds") or LONGEST_SECONDS),
            query.get("allowWatchBookmarks") == "true", query.get("sendInitialEvents") == "true",
        )  # fmt: skip
        with Watch(self.store, self.faults, wanted) as watch:
            begin = watch.begin()
            yield begin
            if not begin.startswith(b'{"type":"ERROR"'):
                async for data in watch.go_on():
                    yield data

    async def _log(self, request: web.BaseRequest, asked: Asked, query: dict[str, str]) -> web.StreamResponse:
        pod = self.store.find("pods", asked.namespace, asked.name)
        if pod is None:
            raise not_found("pods", asked.name)
        pieces = self.logs.read(pod, query)
        if not pod["spec"].get("nodeName"):
            await anext(pieces)  # what is wrong with the request is said first
            return web.Response(status=204)
        return await self._stream(request, pieces, "text/plain")

    async def _stream(self, request: Any, pieces: AsyncIterator[bytes], media: str) -> web.StreamResponse:
        first = await anext(pieces, b"")  # what is wrong with the request is said before anything is sent
        response = web.StreamResponse(headers={"Content-Type": media})
        response.enable_chunked_encoding()
        await response.prepare(request)
        transport = request.transport
        self.streams.add(transport)
        try:
            if first:
                await response.write(first)
            async for data in pieces:
                await response.write(data)
            await response.write_eof()
        except ConnectionError:
            pass  # the client has gone
        finally:
            self.streams.discard(transport)
            await pieces.aclose()  # type: ignore[attr-defined]  # generators, all of them
        return response
