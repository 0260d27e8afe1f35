"""The image's health check, asked of a server that stands for web."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from towline import healthcheck
from towline.healthcheck import answers


class Web(BaseHTTPRequestHandler):
    """Answers as web does: only by a name that it knows, and a request over TLS, or what says that it was."""

    def do_GET(self) -> None:
        known = (self.headers["Host"], self.headers["X-Forwarded-Proto"]) == ("towline.example.org", "https")
        self.send_response(200 if known else 400)
        self.end_headers()

    def log_message(self, *words: object) -> None:
        """Nothing: the test says what it saw."""


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("TOWLINE_ALLOWED_HOSTS", ".towline.example.org,localhost")
    with HTTPServer(("127.0.0.1", 0), Web) as web:
        threading.Thread(target=web.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield f"http://127.0.0.1:{web.server_port}/healthz/live"
        web.shutdown()


def test_web_is_asked_by_a_name_that_it_answers_to(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert answers(url)
    monkeypatch.setenv("TOWLINE_ALLOWED_HOSTS", "another.example.org")
    assert not answers(url)


def test_a_proxy_for_what_is_outside_is_not_in_the_way(url: str) -> None:
    """In a process of its own: Python looks for proxies once in its life."""
    asked = f"import runpy; print(runpy.run_path({healthcheck.__file__!r})['answers']({url!r}))"
    environment = {"http_proxy": "http://127.0.0.1:9", "TOWLINE_ALLOWED_HOSTS": "towline.example.org"}
    done = subprocess.run(
        [sys.executable, "-I", "-c", asked], env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.strip() == "True", done.stderr
