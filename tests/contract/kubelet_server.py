"""A log endpoint that behaves as the API server and the kubelet do, with the faults that a test asks for."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import urllib3

from tests.cluster.certificates import server_context
from tests.unit.drivers.kubernetes.kubelet_log import NS, START, Entry, served, stamp, written
from workers.drivers.protocol import Phase, Unavailable

PATH = "/api/v1/namespaces/jobs/pods/one/log"


class ApiError(Exception):
    """Of the same shape as the connection's."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class PodLog:
    """The log of one container: the newest file of it, and what the endpoint answers.

    `error` (status, message) and `sentence` are answered instead of the log; `hangs`: a follow does not end with the
    container; `short`: how many bytes of an answer come before it ends as if that were all; `tells`: "streams" where it tells
    them apart, "all" where it drops the parameter that it does not know, "half" where only the API server knows it, ""
    where it refuses it.
    """

    def __init__(self) -> None:
        self.changed = threading.Condition(threading.RLock())
        self.file: list[Entry] = []
        self.phase = Phase.RUNNING
        self.clock = START * NS
        self.error: tuple[int, str] | None = None
        self.sentence = ""
        self.hangs = False
        self.short: int | None = None
        self.asked: list[dict[str, str]] = []
        self.again = 0  # how often whoever follows is to be given the file from its beginning
        self.tells = ""
        self.tried = 0  # how often it was asked whether it tells streams apart
        self.cuts = 0  # how often all connections were cut

    def say(self, *lines: bytes, step_ns: int = 1000, stream: str = "Stdout") -> None:
        with self.changed:
            for line in lines:
                self.clock += step_ns
                self.file.extend(written(self.clock, line, stream=stream))
            self.changed.notify_all()

    def rotate(self) -> None:
        with self.changed:
            self.file = []
            self.changed.notify_all()

    def end(self) -> None:
        with self.changed:
            self.phase = Phase.EXITED
            self.changed.notify_all()

    def cut(self) -> None:
        with self.changed:
            self.cuts += 1
            self.changed.notify_all()

    def serve_again(self) -> None:
        with self.changed:
            self.again += 1
            self.changed.notify_all()

    def note(self, asked: dict[str, str]) -> None:
        if "limitBytes" in asked:
            self.tried += 1
        else:
            self.asked.append(asked)

    def look(self) -> Phase:
        return self.phase

    def wait(self, seconds: float) -> None:
        phase = self.phase
        with self.changed:
            self.changed.wait_for(lambda: self.phase is not phase, seconds)

    @property
    def follows(self) -> int:
        return sum("follow" in query for query in self.asked)

    def served(self, tail: int | None, stream: str) -> bytes:
        with self.changed:
            return served(self.file, tail, stream=stream)

    def refuses(self, asked: Mapping[str, str]) -> bool:
        """The parameter `stream`."""
        if "stream" not in asked or self.tells == "all":
            return False
        return not self.tells or asked["stream"] not in ("Stdout", "Stderr") or "tailLines" in asked

    def pieces(self, tail: int | None, stream: str) -> Iterator[bytes]:
        """What a follow serves, piece by piece. It goes on with the new file at a rotation."""
        with self.changed:
            place = _Place(self, tail)
        begins = True
        while fresh := self._fresh(place):
            piece = []
            for entry in fresh:
                if stream in ("", entry.stream):
                    piece.append(stamp(entry.at_ns) + entry.data if begins else entry.data)
                begins = entry.data.endswith(b"\n")
            if piece:
                yield b"".join(piece)

    def _fresh(self, place: _Place) -> list[Entry]:
        """Waits for more. Empty at the end."""
        with self.changed:
            self.changed.wait_for(lambda: place.is_left_behind(self))
            if self.cuts > place.cuts:
                raise ConnectionResetError
            fresh = place.file[place.at :]
            place.at += len(fresh)
            if not fresh and place.is_in_an_old_file(self):
                place.file, place.again, place.at = self.file, self.again, len(self.file)
                return list(self.file) or self._fresh(place)
            return fresh


class _Place:
    """Of one who follows."""

    def __init__(self, log: PodLog, tail: int | None) -> None:
        self.file, self.again, self.cuts = log.file, log.again, log.cuts
        self.at = max(0, len(log.file) - tail) if tail is not None else 0

    def is_in_an_old_file(self, log: PodLog) -> bool:
        return log.file is not self.file or log.again > self.again

    def is_left_behind(self, log: PodLog) -> bool:
        more = len(self.file) > self.at or self.is_in_an_old_file(log)
        return more or log.cuts > self.cuts or (log.phase is Phase.EXITED and not log.hangs)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    log: PodLog

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Who reads may hang up any time."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        log, (path, query) = self.server.log, urlsplit(self.path)[2:4]
        assert path == PATH
        asked = dict(parse_qsl(query))
        stream = asked.get("stream", "") if log.tells == "streams" else ""
        log.note(asked)
        if log.refuses(asked):
            self._plain(422, json.dumps({"kind": "Status", "message": "stream: Forbidden", "code": 422}).encode())
        elif log.error:
            status, message = log.error
            self._plain(status, json.dumps({"kind": "Status", "message": message, "code": status}).encode())
        elif log.sentence:
            self._plain(200, log.sentence.encode())
        elif "follow" in asked:
            self._follow(_tail(asked), stream)
        else:
            self._plain(200, log.served(_tail(asked), stream)[: int(asked.get("limitBytes", 1 << 40))][: log.short])

    def _plain(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _follow(self, tail: int | None, stream: str) -> None:
        """The head goes out with the first piece."""
        begun = False
        try:
            for piece in self.server.log.pieces(tail, stream):
                begun = begun or self._head()
                for chunk in (piece[:7], piece[7:]):
                    if chunk:
                        self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
            if not begun:
                self._head()
            self.wfile.write(b"0\r\n\r\n")
        except OSError:
            self.close_connection = True

    def _head(self) -> bool:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        return True


def _tail(asked: Mapping[str, str]) -> int | None:
    return int(asked["tailLines"]) if "tailLines" in asked else None


class Cluster:
    def __init__(self, url: str, authority: bytes) -> None:
        self._url = url
        told = {"ca_cert_data": authority.decode()} if authority else {}
        self._pool = urllib3.PoolManager(retries=False, **told)

    @contextmanager
    def stream(self, path: str, *, query: Mapping[str, str] | None = None, read_seconds: float) -> Iterator[Any]:
        timeout = urllib3.Timeout(connect=5, read=read_seconds)
        try:
            response = self._pool.request(
                "GET", self._url + path, fields=dict(query or {}), preload_content=False, timeout=timeout
            )
        except urllib3.exceptions.HTTPError as error:
            raise Unavailable(str(error)) from error
        try:
            if response.status >= 400:
                error = ApiError(response.status, json.loads(response.read())["message"])
                if response.status >= 500:
                    raise Unavailable(f"the cluster failed: {error}") from error
                raise error
            yield response
        finally:
            response.close()


@contextmanager
def served_over_http(log: PodLog, tls: Path | None = None) -> Iterator[Cluster]:
    """`tls`: a folder for its certificate; without one it is served in the clear."""
    server = _Server(("127.0.0.1", 0), _Handler)
    authority = _encrypt(server, tls) if tls else b""
    server.log = log
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield Cluster(f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}", authority)
    finally:
        with suppress(Exception):
            log.cut()
        server.shutdown()
        server.server_close()


def _encrypt(server: _Server, folder: Path) -> bytes:
    context, authority = server_context(folder)
    # Who takes connections in must not wait for anybody's handshake.
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    return authority
