"""The form of the log: a line as ever, or JSON, and which span was under way."""

from __future__ import annotations

import json
import logging
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from towline.logs import json_line, line
from towline.settings.environment import REPOSITORY
from towline.settings.logs import PLAIN, logging_of
from tracing import spans
from tracing.records import Noted, Record
from tracing.sdk import Backend
from tracing.services import WORKER

SUBJECT = spans.Subject("job-1", 7)
PLAINLY = logging.Formatter(PLAIN["format"], style="{")


class _Kept:
    def __init__(self) -> None:
        self.records: list[Record] = []

    def put(self, given: Record | Noted) -> None:
        self.records.append(given.record())


@pytest.fixture
def written() -> Iterator[_Kept]:
    """Tracing is on; these are the records."""
    kept = _Kept()
    spans.install(Backend(kept))
    yield kept
    spans.install(None)


def entry(message: str = "%s began", *args: Any, **facts: Any) -> logging.LogRecord:
    return logging.LogRecord(
        "workers.runner", logging.WARNING, "runner.py", 1, message, args or ("it",), **facts, exc_info=None
    )


def failing(message: str = "no") -> logging.LogRecord:
    try:
        int(message)
    except ValueError:
        return logging.LogRecord("jobs", logging.ERROR, "x.py", 1, "broke", (), sys.exc_info())


def test_without_a_span_a_line_is_as_ever(written: _Kept) -> None:
    for each in (entry(), failing(), entry("100 %% {braces} %s", "x")):
        assert line().format(each) == PLAINLY.format(each)


def test_a_line_names_the_span_under_way(written: _Kept) -> None:
    with spans.span("run", WORKER, root=True):
        said = line().format(entry())
    (span,) = {record.key for record in written.records}
    assert said.endswith(f"WARNING workers.runner: it began trace={span[0]:032x} span={span[1]:016x}")


def test_an_object_has_the_ids_and_what_the_work_is_about(written: _Kept) -> None:
    with spans.span("run", WORKER, root=True, subject=SUBJECT):
        said = json.loads(json_line().format(entry()))
    key = written.records[0].key
    assert (said["trace_id"], said["span_id"]) == (f"{key[0]:032x}", f"{key[1]:016x}")
    assert (said["job_id"], said["execution_id"]) == ("job-1", 7)
    assert (said["level"], said["logger"], said["event"]) == ("warning", "workers.runner", "it began")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", said["time"])


def test_what_goes_on_from_elsewhere_is_about_the_same(written: _Kept) -> None:
    with spans.span("run", WORKER, root=True):
        place = spans.here()
    with spans.under(place, SUBJECT):
        said = json.loads(json_line().format(entry()))
    assert (said["span_id"], said["job_id"]) == (f"{written.records[0].span_id:016x}", "job-1")


def test_an_object_stays_one_line_whatever_is_in_it(written: _Kept) -> None:
    for each in (failing("two\nlines"), entry("a\nb\u2028 \x00 \udc80 %s", object())):
        said = json_line().format(each)
        assert len(said.splitlines()) == 1
        assert json.loads(said)["event"]


def test_an_exception_is_told_with_its_traceback() -> None:
    said = json.loads(json_line().format(failing("no")))
    assert said["exception"].startswith("Traceback")
    assert said["exception"].endswith("'no'")
    assert "trace_id" not in said


def test_where_nothing_is_traced_lines_are_pythons_own() -> None:
    assert logging_of("INFO", "line", traced=False)["formatters"] == {"line": PLAIN}


SCRIPT = """
import logging, django
logging.getLogger("early").warning("before")
django.setup(set_prefix=False)
from tracing import spans
from tracing.sdk import Backend
class Sink:
    def put(self, record): pass
spans.install(Backend(Sink()))
with spans.span("x", "web", root=True, subject=spans.Subject("job-1", 3)):
    for name in ("jobs", "celery.worker", "django.request", "uvicorn.error", "somebody.else"):
        logging.getLogger(name).error("of %s", name)
"""


def started(*argv: str, folder: Path, **env: str) -> subprocess.Popen[str]:
    known = {key: value for key, value in os.environ.items() if not key.startswith("TOWLINE_")}
    return subprocess.Popen(
        [sys.executable, *argv],
        env={**known, "DJANGO_SETTINGS_MODULE": "towline.settings", "TOWLINE_DATA_DIR": str(folder), **env},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
    )


def run(*argv: str, folder: Path, **env: str) -> list[str]:
    with started(*argv, folder=folder, **env) as process:
        return process.communicate(timeout=60)[1].splitlines()


@pytest.mark.parametrize("form", ["json", "line"])
def test_every_logger_of_a_process_speaks_the_same(tmp_path: Path, form: str) -> None:
    *_, ours, celery, django, uvicorn, others = run(
        "-c", SCRIPT, folder=tmp_path, TOWLINE_LOG_FORMAT=form, ENABLE_DB_TRACING="true"
    )
    for said in (ours, celery, django, uvicorn, others):
        if form == "json":
            assert {"trace_id", "span_id", "job_id", "execution_id"} < json.loads(said).keys()
        else:
            assert re.search(r" ERROR   [a-z.]+: of [a-z.]+ trace=[0-9a-f]{32} span=[0-9a-f]{16}$", said)


def test_the_web_server_logs_in_that_form_too(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        said = run("manage.py", "serve", "web", "--port", port, folder=tmp_path, TOWLINE_LOG_FORMAT="json")
    found = [json.loads(text) for text in said]
    assert any(each["logger"].startswith("uvicorn") and "address already in use" in each["event"] for each in found)


def test_a_celery_worker_logs_in_that_form_too(tmp_path: Path) -> None:
    nobody = "redis://127.0.0.1:9/0"
    with started(
        "manage.py", "serve", "control", folder=tmp_path, TOWLINE_LOG_FORMAT="json", REDIS_URL=nobody
    ) as process:
        assert process.stderr
        loggers = [json.loads(line)["logger"] for line in _until("Cannot connect", process.stderr)]
        process.terminate()
        assert process.wait(30) is not None
    assert "celery.worker.consumer.consumer" in loggers


def _until(word: str, lines: Iterable[str]) -> Iterator[str]:
    for said in lines:
        yield said
        if word in said:
            return
