"""The schema and its docs page as a web process serves them: at once, to a crowd, and to a browser without a network."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from pathlib import Path

import httpx
import pytest

from tests.stack import ROOT, eventually
from towline.stack.stack import free_port

PAGE = "/api/v1/docs/"
SCHEMA = "/api/v1/schema/"


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A web process that nobody has asked for anything but whether it lives."""
    port, folder = free_port(0), tmp_path_factory.mktemp("web")
    with (folder / "web.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "manage.py"), "serve", "web", "--port", str(port)],
            env={**os.environ, "TOWLINE_DATA_DIR": str(folder)}, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            eventually(lambda: _lives(client))
            yield client
    finally:
        process.terminate()
        process.wait(20)


def _lives(client: httpx.Client) -> bool:
    try:
        return client.get("/healthz/live").is_success
    except httpx.TransportError:
        return False


class Outline(HTMLParser):
    """What a page loads, and what of it stands in the page itself."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.inline: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "style" or (tag == "script" and "src" not in given):
            self.inline.append(tag)
        self.inline += [name for name in given if name.startswith("on") or name == "style"]
        self.loads += [str(given[name]) for name in ("src", "href") if name in given]


def test_twenty_first_requests_at_once_are_all_answered(web: httpx.Client) -> None:
    def ask(number: int) -> tuple[int, bytes]:
        answer = web.get(SCHEMA if number % 4 else PAGE)
        return answer.status_code, answer.content if number % 4 else b""

    with ThreadPoolExecutor(20) as crowd:
        answers = list(crowd.map(ask, range(20)))
    assert {status for status, _ in answers} == {200}
    assert len({body for _, body in answers if body}) == 1


def test_the_schema_served_is_the_committed_file(web: httpx.Client) -> None:
    answer = web.get(SCHEMA)
    assert answer.headers["content-type"] == "application/vnd.oai.openapi+json"
    assert answer.json() == json.loads(Path(ROOT / "platform/towline/openapi.json").read_text())


def test_the_docs_page_holds_no_script_and_no_style(web: httpx.Client) -> None:
    page = Outline(web.get(PAGE).text)
    assert page.inline == []
    assert any("swagger-ui-bundle" in address for address in page.loads)


def test_the_docs_page_loads_from_here_alone(web: httpx.Client) -> None:
    answer = web.get(PAGE)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "'unsafe-inline'" not in policy
    for address in Outline(answer.text).loads:
        assert address.startswith("/") and not address.startswith("//"), address
        assert web.get(address).status_code == 200, address


def test_the_docs_page_asks_no_validator_elsewhere(web: httpx.Client) -> None:
    script = next(address for address in Outline(web.get(PAGE).text).loads if "script" in address.partition("?")[2])
    told = web.get(script).text
    assert '"validatorUrl": null' in told
    assert "http:" not in told
    assert "https:" not in told
