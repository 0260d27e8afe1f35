"""At the border with a cluster: what is asked twice and what is not, and which no means that nobody could ask."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.drivers.kubernetes.api import Answer, no
from tests.unit.drivers.kubernetes.conftest import Serve
from workers.drivers.kubernetes.connection import ApiError, Cluster, Forbidden
from workers.drivers.protocol import Unavailable

ROOT = Path(__file__).parents[4]


def test_what_is_asked_arrives(serve: Serve) -> None:
    api = serve(lambda asked: Answer({"said": asked.body}))
    answer = Cluster().request(
        "POST", "/x", query={"a": "b c"}, body={"é": 1}, content_type="application/merge-patch+json"
    )
    assert answer == {"said": {"é": 1}}
    [asked] = api.asked
    assert (asked.method, asked.path, asked.query) == ("POST", "/x", {"a": "b c"})
    assert asked.headers["Content-Type"] == "application/merge-patch+json"
    assert asked.headers["Authorization"].lower() == "bearer hush"


@pytest.mark.parametrize("status", [404, 409, 422, 410])
def test_a_no_is_told_in_the_servers_words(serve: Serve, status: int) -> None:
    serve(lambda _: no(status, "Why", "in words"))
    with pytest.raises(ApiError) as caught:
        Cluster().request("GET", "/x")
    assert (caught.value.status, caught.value.reason, caught.value.message) == (status, "Why", "in words")


@pytest.mark.parametrize(("method", "error"), [("GET", Forbidden), ("DELETE", Forbidden), ("POST", ApiError)])
def test_a_missing_right_is_no_answer_but_on_a_create(serve: Serve, method: str, error: type[Exception]) -> None:
    serve(lambda _: no(403, "Forbidden", "you can't"))
    with pytest.raises(error, match="you can't"):
        Cluster().request(method, "/x")


@pytest.mark.parametrize("status", [401, 500, 502, 504])
def test_who_can_not_answer_says_nothing(serve: Serve, status: int) -> None:
    serve(lambda _: Answer([b"<html>oops"], status))
    with pytest.raises(Unavailable):
        Cluster().request("POST", "/x", body={})


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_busy_server_is_given_a_little_time(serve: Serve, status: int, method: str) -> None:
    answers = iter([no(status, "Busy", "later", **{"Retry-After": "0"})] * 2)
    api = serve(lambda _: next(answers, Answer({"fine": True})))
    assert Cluster().request(method, "/x", body={} if method == "POST" else None) == {"fine": True}
    assert len(api.asked) == 3


def test_and_not_for_ever(serve: Serve) -> None:
    api = serve(lambda _: no(503, "Busy", "later", **{"Retry-After": "0"}))
    with pytest.raises(Unavailable):
        Cluster().request("GET", "/x")
    assert len(api.asked) < 6


@pytest.mark.parametrize(("method", "times"), [("GET", 2), ("POST", 1), ("PATCH", 1), ("DELETE", 1)])
def test_only_reading_is_repeated_when_the_connection_breaks(serve: Serve, method: str, times: int) -> None:
    api = serve(lambda _: Answer(cut=True))
    with pytest.raises(Unavailable):
        Cluster().request(method, "/x")
    assert len(api.asked) == times


def test_nobody_there_is_unavailable(serve: Serve) -> None:
    serve(lambda _: Answer({})).close()
    with pytest.raises(Unavailable, match="could not ask"):
        Cluster().request("GET", "/x")


def test_an_unknown_context_is_named(serve: Serve) -> None:
    serve(lambda _: Answer({}))
    with pytest.raises(Unavailable, match="context nowhere"):
        Cluster("nowhere").request("GET", "/x")
    assert Cluster("two").request("GET", "/x") == {}


def test_a_stream_is_read_as_it_comes_and_its_silence_is_unavailable(serve: Serve) -> None:
    quiet = threading.Event()

    def told() -> Iterator[bytes]:
        yield b"one\n"
        quiet.wait(20)

    serve(lambda _: Answer(told()))
    got: list[bytes] = []

    def read() -> None:
        with Cluster().stream("/x", read_seconds=0.5) as answer:
            for chunk in answer.stream(1000):
                got.append(chunk)  # noqa: PERF402 - what came before the silence counts

    began = time.monotonic()
    with pytest.raises(Unavailable, match="could not ask"):
        read()
    quiet.set()
    assert got == [b"one\n"]
    assert time.monotonic() - began < 5


def test_a_process_forked_off_has_connections_of_its_own(serve: Serve) -> None:
    api = serve(lambda asked: Answer({"path": asked.path}))
    cluster = Cluster()
    cluster.request("GET", "/parent")
    child = os.fork()
    if child == 0:
        os._exit(0 if cluster.request("GET", "/child") == {"path": "/child"} else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert cluster.request("GET", "/again") == {"path": "/again"}
    parent, childs, again = api.asked
    assert [asked.path for asked in api.asked] == ["/parent", "/child", "/again"]
    assert parent.port == again.port != childs.port


def test_the_client_is_not_loaded_before_somebody_asks() -> None:
    code = (
        "import sys, workers.drivers.kubernetes.driver as d; d.KubernetesDriver();"
        "sys.exit(any(name.split('.')[0] in ('kubernetes', 'urllib3') for name in sys.modules))"
    )
    env = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT}/platform"}
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, check=False, timeout=60).returncode == 0
