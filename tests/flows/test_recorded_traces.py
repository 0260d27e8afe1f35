"""Traces of other systems, sent over OTLP as those send them: what is kept of them, and what the questions answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from jobs.traces.attributes import attributes
from tests.flows import recorded
from tests.flows.conftest import client_of, make_attempt
from tests.flows.test_trace_questions import cause, diagnosis, kept, kept_of, similar
from tests.unit.tracing.traces import span
from tracing import running
from tracing.models import Span
from tracing.otlp.reading import JSON, PROTOBUF, read
from tracing.questions.root_cause import RootCause
from tracing.questions.rules import RECOMMENDATIONS
from tracing.questions.waterfall import waterfall
from tracing.rows import of_execution

PATH = "/api/v1/otlp/v1/traces"
EXECUTION = 4711
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def sender(settings: LazySettings, root: User) -> Any:
    """Of a system with an API token, to a web process where tracing is on."""
    settings.TOWLINE = settings.TOWLINE.model_copy(update={"ENABLE_DB_TRACING": True})
    running.begin("web")
    yield client_of(root)
    running.end()


def feed(sender: APIClient, *requests: recorded.Json, kind: str = JSON) -> None:
    for request in requests:
        body = json.dumps(request).encode()
        body = body if kind == JSON else read(body, JSON).SerializeToString()
        answer = sender.post(PATH, body, content_type=kind)
        assert (answer.status_code, answer.content) == (200, b"{}" if kind == JSON else b"")
    writer = running.writer()
    assert writer is not None and writer.settle()


def tree(execution: int) -> Sequence[str]:
    """Indented, what is critical with a star."""
    steps = waterfall(of_execution(execution), datetime.now(UTC))
    return [f"{'  ' * step.depth}{step.row.operation}{' *' if step.critical else ''}" for step in steps]


@pytest.mark.parametrize("kind", [JSON, PROTOBUF])
def test_a_healthy_request_through_four_services_is_one_tree_and_nothing_is_wrong_with_it(
    sender: APIClient, kind: str
) -> None:
    feed(sender, *recorded.ride(EXECUTION), kind=kind)
    assert tree(EXECUTION) == [
        "HTTP GET /dispatch *", "  GET /customer *", "    SELECT customers *", "  FindNearest *", "    GET *",
    ]  # fmt: skip
    assert {each.job_id for each in of_execution(EXECUTION)} == {"ride-4711"}
    assert [each for each in diagnosis(EXECUTION) if each.is_anomaly] == []
    assert cause(EXECUTION) is None


def test_a_request_that_is_sent_again_is_kept_once(sender: APIClient) -> None:
    feed(sender, *recorded.ride(EXECUTION))
    feed(sender, *recorded.ride(EXECUTION))
    assert Span.objects.filter(execution_id=EXECUTION).count() == 5


@pytest.mark.parametrize("kind", [JSON, PROTOBUF])
@pytest.mark.parametrize(
    ("trace", "found"),
    [
        (recorded.workflow, ("NETWORK_TIMEOUT", "argo-workflows", "extract", "nothing for 80000 ms after it")),
        (
            recorded.checkout,
            ("CONNECTION_FAILURE", "checkout", "PaymentService/Charge", "failed, grpc 14: rpc error: code = Unavailable desc = "
             'connection error: desc = "transport: error while dialing"'),
        ),
        (
            recorded.activity,
            ("SERVICE_TIMEOUT", "temporal-worker", "RunActivity:Resize",
             "timeout, io.temporal.failure.TimeoutFailure: activity StartToClose timeout"),
        ),
        (recorded.task_run, ("PERFORMANCE_DEGRADATION", "tekton", "pod", "took 179000 ms")),
        (recorded.chat, ("MODEL_EXECUTION_FAILURE", "bench", "chat llama-3.2-1b", "failed, context_length")),
        (recorded.build, ("UNKNOWN", "ci", "test", "failed: Process completed with exit code 1.")),
    ],
)  # fmt: skip
def test_the_cause_is_found_where_it_began(
    sender: APIClient, kind: str, trace: Callable[[int], recorded.Json], found: tuple[str, ...]
) -> None:
    feed(sender, trace(EXECUTION), kind=kind)
    assert cause(EXECUTION) == RootCause(*found, RECOMMENDATIONS[found[0]])


def test_what_is_said_at_the_top_or_by_the_resource_is_so_for_every_span(sender: APIClient) -> None:
    feed(sender, recorded.checkout(1), recorded.chat(2), recorded.task_run(3))
    kept = {(each.execution_id, each.job_id, each.model_id, each.region) for each in Span.objects.all()}
    assert kept == {
        (1, "order-7", None, None), (2, "bench-1", "llama-3.2-1b", "us-east-1"), (2, "bench-1", None, "us-east-1"),
        (3, "build", None, None),
    }  # fmt: skip
    assert [Span.objects.filter(execution_id=each).count() for each in (1, 2, 3)] == [3, 2, 2]


def test_clocks_that_differ_make_no_anomaly_and_no_negative_time(sender: APIClient) -> None:
    feed(sender, recorded.clocks(EXECUTION))
    found = diagnosis(EXECUTION)
    assert [each for each in found if each.is_anomaly] == []
    assert all((each.duration_ms or 0) >= 0 and (each.gap_after_ms or 0) >= 0 for each in found)
    assert {"unknown", "stray"} < {each.operation for each in found}
    assert cause(EXECUTION) is None


def test_the_same_trouble_of_last_week_is_the_most_similar(sender: APIClient) -> None:
    feed(sender, recorded.build(1))
    for trace, execution in ((recorded.checkout, 2), (recorded.workflow, 3)):
        feed(sender, trace(execution))
    again = json.loads(json.dumps(recorded.build(4)).replace(f"{7:032x}", f"{9:032x}"))
    feed(sender, again)
    best = similar(4, 1)
    assert [(each.similar_execution_id, each.similarity_score, each.failure_point) for each in best] == [
        (1, 1.0, "ci: test")
    ]


def test_another_systems_execution_says_nothing_of_where_our_attempt_of_that_number_ran() -> None:
    attempt = make_attempt()
    kept_of(attempt, span("run", 0, 1, metadata={"attributes": {"node": "ours"}}))
    theirs = span("run", 0, 1, job_id="batch-9", metadata={"attributes": {"node": "theirs"}})
    kept(theirs, execution=attempt.pk)
    assert attributes([attempt])[0]["node"] == "ours"


def test_what_is_asked_by_execution_is_found_however_long_ago_it_was(sender: APIClient) -> None:
    """Of what is recorded, the times are those of then."""
    feed(sender, recorded.build(EXECUTION))
    for query, count in (
        ("execution=4711", 1),
        ("execution=4711&days=7", 0),
        ("service=ci", 0),
        ("service=ci&days=366", 1),
    ):
        found = sender.get(f"/api/v1/traces/?{query}").json()["results"]
        assert [each["operation"] for each in found] == ["pipeline"] * count, query
