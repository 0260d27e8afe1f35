"""Spans sent over OTLP/HTTP: who may, what becomes of them, and what the sender is told."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from google.rpc.status_pb2 import Status as RpcStatus
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Sent
from rest_framework.test import APIClient

from jobs.clock import Now
from jobs.models import Attempt, Job
from jobs.secrets.sealing import seal
from jobs.tokens import GRACE, token_of
from tests.flows.conftest import client_of, make_attempt
from tests.stack import eventually
from tests.unit.tracing.test_otlp import as_json, request, span
from tracing import running
from tracing.identity import Parent, as_uuid, span_id_of
from tracing.models import Span, Status
from tracing.otlp.reading import BODY_BYTES, JSON, LARGE_BODY_BYTES, PROTOBUF

PATH = "/api/v1/otlp/v1/traces"
ROOT = Parent(int.from_bytes(b"\x0a" * 16), 7)
OTHER = b"\x0b" * 16
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def traced(settings: LazySettings) -> Iterator[None]:
    """As in a web process where tracing is on."""
    settings.TOWLINE = settings.TOWLINE.model_copy(update={"ENABLE_DB_TRACING": True})
    running.begin("web")
    yield
    running.end()


@pytest.fixture
def attempt() -> Attempt:
    return traced_attempt()


def traced_attempt(**spec: Any) -> Attempt:
    made = make_attempt(**{"labels": {"model": "llama"}, **spec})
    Job.objects.filter(pk=made.job_id).update(traceparent=str(ROOT))
    Attempt.objects.filter(pk=made.pk).update(region="eu")
    return Attempt.objects.select_related("job").get(pk=made.pk)


def container(attempt: Attempt) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token_of(attempt)}")
    return client


def one(number: int = 1, **changes: Any) -> Sent:
    return span(**{"trace_id": ROOT.trace_id.to_bytes(16), "span_id": number.to_bytes(8), **changes})


def send(client: APIClient, *sent: Sent, **headers: str) -> Any:
    return client.post(PATH, request(*sent).SerializeToString(), content_type=PROTOBUF, headers=headers)


def test_who_knows_the_host_alone_gets_there_too(attempt: Attempt) -> None:
    body = request(one()).SerializeToString()
    answer = container(attempt).post("/v1/traces", body, content_type=PROTOBUF)
    assert refused(answer) == (0, "")


def refused(answer: Any) -> tuple[int, str]:
    assert (answer.status_code, answer["Content-Type"]) == (200, PROTOBUF), answer.content
    told = ExportTraceServiceResponse.FromString(answer.content).partial_success
    return told.rejected_spans, told.error_message


def stored(**which: Any) -> Span:
    return eventually(lambda: Span.objects.filter(**which).first(), 10)


def test_a_containers_span_joins_its_jobs_trace(attempt: Attempt) -> None:
    assert refused(send(container(attempt), one(name="epoch"))) == (0, "")
    found = stored(operation="epoch")
    assert (found.trace_id, found.span_id) == (as_uuid(ROOT.trace_id), as_uuid(1))
    assert found.parent_span_id == as_uuid(span_id_of(attempt.job_id, attempt.number, "execute"))
    assert (found.job_id, found.execution_id) == (str(attempt.job_id), attempt.pk)
    assert (found.model_id, found.region, found.service) == ("llama", "eu", "container")
    assert (found.status, found.duration_ms) == (Status.COMPLETED, 2)


def test_json_and_packed_bodies_are_answered_in_kind(attempt: Attempt) -> None:
    body = json.dumps(as_json(request(one(name="from json"), one(2, trace_id=b"x")))).encode()
    answer = container(attempt).post(
        PATH, gzip.compress(body), content_type=f"{JSON}; charset=utf-8", headers={"Content-Encoding": "gzip"}
    )
    assert (answer.status_code, answer["Content-Type"]) == (200, JSON)
    assert answer.json()["partialSuccess"]["rejectedSpans"] == "1"
    assert stored(operation="from json").execution_id == attempt.pk


def test_a_token_writes_to_its_own_attempt_whatever_it_claims(attempt: Attempt) -> None:
    other = traced_attempt()
    claims = {"towline.execution_id": other.pk, "towline.job_id": str(other.job_id)}
    send(container(attempt), span(claims, trace_id=OTHER, span_id=b"\x05" * 8, name="mine"))
    found = stored(operation="mine")
    assert (found.trace_id.bytes, found.execution_id, found.job_id) == (OTHER, attempt.pk, str(attempt.job_id))


def test_a_trace_that_others_write_to_is_closed_to_a_container(attempt: Attempt) -> None:
    facts = {"service": "web", "operation": "x", "started_at": Now(), "status": "completed", "span_id": as_uuid(9)}
    Span.objects.create(trace_id=as_uuid(int.from_bytes(OTHER)), job_id="another", **facts)
    Span.objects.create(trace_id=as_uuid(ROOT.trace_id), job_id=str(attempt.job_id), **facts)
    count, why = refused(send(container(attempt), one(trace_id=OTHER), one(9)))
    assert count == 2
    assert "not this job's" in why and "platform's own spans" in why
    place = span_id_of(attempt.job_id, attempt.number, "execute")
    assert "TRACEPARENT" in refused(send(container(attempt), one(place)))[1]


def test_an_attempt_has_room_for_so_many_spans_and_says_so(attempt: Attempt, settings: LazySettings) -> None:
    settings.TOWLINE = settings.TOWLINE.model_copy(update={"TOWLINE_TRACE_CONTAINER_SPANS": 5})
    client = container(attempt)
    assert refused(send(client, one(1), one(2), one(3)))[0] == 0
    count, why = refused(send(client, one(4), one(5), one(6), one(7)))
    assert (count, "TOWLINE_TRACE_CONTAINER_SPANS" in why) == (2, True)
    assert refused(send(client, one(8)))[0] == 1


def test_a_full_buffer_asks_for_patience(attempt: Attempt, settings: LazySettings) -> None:
    settings.TOWLINE = settings.TOWLINE.model_copy(update={"TOWLINE_TRACE_BUFFER": 1})
    answer = send(container(attempt), one(1), one(2))
    assert (answer.status_code, answer["Retry-After"]) == (503, "2")
    assert RpcStatus.FromString(answer.content).code == 14


def test_secrets_of_the_job_are_masked_in_its_spans(settings: LazySettings) -> None:
    attempt = traced_attempt()
    sealed = seal(json.dumps({"KEY": "wonderful-secret"}))
    wanted = {**attempt.job.spec, "secrets": [{"name": "KEY", "env": "KEY"}]}
    Job.objects.filter(pk=attempt.job_id).update(spec=wanted)
    Attempt.objects.filter(pk=attempt.pk).update(secrets=sealed)
    said = f"wonderful-secret {token_of(attempt)}"
    send(container(attempt), span({"said": said, "list": [said]}, trace_id=ROOT.trace_id.to_bytes(16), name="hushed"))
    assert stored(operation="hushed").metadata["attributes"]["said"] == "*** ***"
    Attempt.objects.filter(pk=attempt.pk).update(secrets=b"")
    assert "secrets" in refused(send(container(attempt), one(3)))[1]


@pytest.mark.parametrize("token", ["", "towline_attempt_", "towline_attempt_x-1.y", "tl_unknown", "towline_attempt_ü"])
def test_who_has_no_token_is_sent_away(token: str) -> None:
    client = APIClient()
    if token:
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    answer = send(client, one())
    assert (answer.status_code, answer["WWW-Authenticate"], answer["Content-Type"]) == (401, "Bearer", PROTOBUF)
    assert RpcStatus.FromString(answer.content).code == 16


def test_a_token_ends_a_moment_after_its_attempt(attempt: Attempt) -> None:
    over = {"state": "failed", "verdict": {"code": "exit_code"}}
    Attempt.objects.filter(pk=attempt.pk).update(**over, finished_at=Now())
    assert send(container(attempt), one()).status_code == 200
    Attempt.objects.filter(pk=attempt.pk).update(finished_at=Now() - GRACE)
    assert send(container(attempt), one()).status_code == 401


def test_other_systems_feed_their_traces_in_as_they_are(root: User) -> None:
    said = {"job_id": "batch-9", "execution_id": 4711, "model_id": "gpt", "region": "moon", "http.status_code": 504}
    foreign = span(said, trace_id=OTHER, span_id=b"\x01" * 8, parent_span_id=b"\x02" * 8, name="call")
    assert refused(send(client_of(root), foreign)) == (0, "")
    found = stored(operation="call")
    assert (found.trace_id.bytes, found.job_id, found.execution_id) == (OTHER, "batch-9", 4711)
    assert (found.model_id, found.region, found.service, found.status) == ("gpt", "moon", "unknown", "timeout")


def test_nothing_that_is_taken_is_more_than_a_database_takes(root: User) -> None:
    """One value that it refuses, and a whole batch of others' spans would be lost."""
    odd = {
        "n\x00l": "\x00",
        "least": -(2**63),
        "none": float("nan"),
        "inf": [float("-inf")],
        "long \U0001f600" * 99: "é" * 9999,
    }
    late = {"start_time_unix_nano": 2**64 - 10**15, "end_time_unix_nano": 2**64 - 1}
    worst = span(odd, **late, name="worst\x00" * 99, status={"code": 2, "message": "\x00" * 9999}, kind=77)
    worst.events.add(name="exception\x00" * 999, time_unix_nano=2**64 - 1)
    sent = request(worst, service__name="s\x00" * 99, execution_id=2**63 - 1, job_id="j\x00" * 999, region=["x"])
    client = client_of(root)
    assert refused(client.post(PATH, sent.SerializeToString(), content_type=PROTOBUF)) == (0, "")
    found = stored(operation__startswith="worst")
    assert (found.status, found.execution_id, len(found.service), len(found.job_id or "")) == (
        "failed",
        2**63 - 1,
        50,
        255,
    )


def test_spans_are_not_everybodys_to_add(alice: User) -> None:
    answer = send(client_of(alice), one())
    assert answer.status_code == 403
    assert "tracing.add_span" in RpcStatus.FromString(answer.content).message


@pytest.mark.parametrize(
    ("kind", "encoding", "body", "status"),
    [
        ("text/plain", "", b"", 415), ("", "", b"", 415), (JSON, "br", b"{}", 415),
        (JSON, "", b"{", 400), (PROTOBUF, "", b"\xff", 400), (JSON, "gzip", b"{}", 400),
        (JSON, "", b" " * (BODY_BYTES + 1), 413), (JSON, "gzip", gzip.compress(b" " * BODY_BYTES * 2), 413),
        (JSON, "", b"", 200), (PROTOBUF, "", b"", 200),
    ],
)  # fmt: skip
def test_what_can_t_be_read_is_refused_in_otlps_words(
    attempt: Attempt, kind: str, encoding: str, body: bytes, status: int
) -> None:
    headers = {"Content-Encoding": encoding} if encoding else {}
    answer = container(attempt).generic("POST", PATH, body, content_type=kind, headers=headers)
    assert answer.status_code == status, answer.content
    if status != 200 and kind == JSON:
        assert answer.json()["message"]


def test_other_systems_send_larger_batches_than_a_container_may(attempt: Attempt, root: User) -> None:
    body = gzip.compress(request(*(one(n, name="x" * 1100) for n in range(1, 4001))).SerializeToString())
    headers = {"Content-Encoding": "gzip"}
    sent = [c.post(PATH, body, content_type=PROTOBUF, headers=headers) for c in (container(attempt), client_of(root))]
    assert [answer.status_code for answer in sent] == [413, 200]
    assert str(BODY_BYTES) in RpcStatus.FromString(sent[0].content).message
    vast = client_of(root).post(PATH, b" " * (LARGE_BODY_BYTES + 1), content_type=JSON)
    assert vast.status_code == 413


def test_reading_is_not_offered(attempt: Attempt) -> None:
    assert container(attempt).get(PATH).status_code == 405


def test_with_tracing_off_nothing_fails_and_nothing_is_kept(attempt: Attempt, settings: LazySettings) -> None:
    settings.TOWLINE = settings.TOWLINE.model_copy(update={"ENABLE_DB_TRACING": False})
    count, why = refused(send(container(attempt), one(), one(2)))
    assert (count, "ENABLE_DB_TRACING" in why) == (2, True)


def test_a_large_batch_is_taken_quickly(root: User) -> None:
    """5 s would be an exporter's patience; a batch of 512 is what the SDK sends."""
    batch = [span({f"key {n}": "value" * 10 for n in range(10)}, span_id=n.to_bytes(8)) for n in range(1, 513)]
    body = json.dumps(as_json(request(*batch))).encode()
    began = time.monotonic()
    assert client_of(root).post(PATH, body, content_type=JSON).status_code == 200
    assert time.monotonic() - began < 3
