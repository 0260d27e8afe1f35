"""A scripted API server: each test says what it answers, and reads what it was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import yaml


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    query: dict[str, str] = field(default_factory=dict)
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    port: int = 0  # of the one who asks: another one is another connection


@dataclass(frozen=True)
class Answer:
    """`body`: JSON, or parts that are sent one by one as they come; `cut`: the connection ends without an end."""

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False


class Api:
    """`answer` is called for every request, in the thread of its connection."""

    def __init__(self, answer: Callable[[Asked], Answer], folder: Path) -> None:
        self.answer = answer
        self.asked: list[Asked] = []
        self.folder = folder
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 60

            def do_GET(self) -> None:
                api._serve(self)

            do_POST = do_PATCH = do_DELETE = do_GET  # noqa: N815 - Python's names

            def log_message(self, *_: Any) -> None:
                return

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

            def handle_error(self, *_: Any) -> None:  # clients that went away
                return

        self.server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def kubeconfig(self) -> Path:
        file = self.folder / "kubeconfig"
        url = f"http://127.0.0.1:{self.server.server_port}"
        known = {
            "clusters": [{"name": "c", "cluster": {"server": url}}],
            "users": [{"name": "u", "user": {"token": "hush"}}],
            "contexts": [{"name": name, "context": {"cluster": "c", "user": "u"}} for name in ("one", "two")],
            "current-context": "one",
        }
        file.write_text(yaml.safe_dump(known))
        return file

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(handler.path)
        raw = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        asked = Asked(
            handler.command,
            parts.path,
            dict(parse_qsl(parts.query)),
            json.loads(raw) if raw else None,
            {key.title(): value for key, value in handler.headers.items()},
            handler.client_address[1],
        )
        self.asked.append(asked)
        self._send(handler, self.answer(asked))

    def _send(self, handler: BaseHTTPRequestHandler, answer: Answer) -> None:
        if answer.cut and answer.body is None:
            handler.close_connection = True
            return
        handler.send_response(answer.status)
        for key, value in answer.headers.items():
            handler.send_header(key, value)
        if isinstance(answer.body, dict | list):
            content = json.dumps(answer.body).encode()
            handler.send_header("Content-Length", str(len(content)))
            handler.end_headers()
            handler.wfile.write(content)
            return
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for part in answer.body or ():
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
            handler.wfile.flush()
        if answer.cut:
            handler.close_connection = True
        else:
            handler.wfile.write(b"0\r\n\r\n")


def no(status: int, reason: str, message: str, **headers: str) -> Answer:
    return Answer({"kind": "Status", "reason": reason, "message": message, "code": status}, status, headers)


@contextmanager
def served(answer: Callable[[Asked], Answer], folder: Path) -> Iterator[Api]:
    api = Api(answer, folder)
    try:
        yield api
    finally:
        api.close()
