"""OTLP/HTTP as it comes in: every way of writing a span is read, and nothing that is sent breaks the reader."""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from google.rpc.status_pb2 import Status as RpcStatus
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tracing.identity import Parent
from tracing.otlp import answers
from tracing.otlp.reading import BODY_BYTES, JSON, PROTOBUF, Malformed, TooLarge, read, unpack
from tracing.otlp.taking import Home, Taken, take
from tracing.otlp.values import ATTRIBUTES, TEXT
from tracing.records import Record
from tracing.spans import Subject

TRACE, SPAN, PARENT = bytes(range(16)), bytes(range(8)), b"\x01" * 8
START = 1_700_000_000_000_000_000
NOW = START + 10**12
PLACE = Parent(int.from_bytes(TRACE), 77)
HOME = Home(Subject("job-1", 5, "llama", "eu"), PLACE)


def value(given: Any) -> AnyValue:
    if isinstance(given, list):
        return AnyValue(array_value=ArrayValue(values=[value(each) for each in given]))
    if isinstance(given, dict):
        return AnyValue(kvlist_value=KeyValueList(values=pairs(given)))
    kind = {bool: "bool", int: "int", float: "double", str: "string", bytes: "bytes"}[type(given)]
    return AnyValue(**{f"{kind}_value": given})


def pairs(given: dict[str, Any]) -> list[KeyValue]:
    return [KeyValue(key=key, value=value(each)) for key, each in given.items()]


def span(attributes: dict[str, Any] | None = None, **changes: Any) -> Span:
    made = Span(
        trace_id=TRACE, span_id=SPAN, name="step", start_time_unix_nano=START, end_time_unix_nano=START + 2_500_000
    )
    made.MergeFrom(Span(attributes=pairs(attributes or {}), **changes))
    return made


def request(*spans: Span, **resource: Any) -> ExportTraceServiceRequest:
    made = ExportTraceServiceRequest()
    group = made.resource_spans.add()
    group.resource.attributes.extend(pairs({key.replace("__", "."): each for key, each in resource.items()}))
    group.scope_spans.add().spans.extend(spans)
    return made


def taken(*spans: Span, home: Home | None = None, **resource: Any) -> Taken:
    return take(request(*spans, **resource), NOW, home)


def record(*spans: Span, home: Home | None = None, **resource: Any) -> Record:
    (found,) = taken(*spans, home=home, **resource).records
    return found


def as_json(made: ExportTraceServiceRequest, *, names: bool = False) -> Any:
    """As OTLP writes it: ids in hexadecimal digits, enums as numbers, 64 bits as strings."""
    body = MessageToDict(made, use_integers_for_enums=not names)
    for each in body["resourceSpans"][0]["scopeSpans"][0]["spans"]:
        for holder in (each, *each.get("links", [])):
            for name in ("traceId", "spanId", "parentSpanId"):
                if name in holder:
                    holder[name] = base64.b64decode(holder[name]).hex()
    return body


FULL = span(
    {"s": "x", "i": -5, "f": 0.5, "b": False, "raw": b"\x00\xff", "list": ["a", [1]], "map": {"in": {"er": True}}},
    parent_span_id=PARENT,
    kind=Span.SPAN_KIND_CLIENT,
    events=[Span.Event(name="tick", time_unix_nano=START + 1, attributes=pairs({"n": 1}))],
    links=[Span.Link(trace_id=b"\x02" * 16, span_id=b"\x03" * 8)],
)


def test_a_span_is_taken_with_all_it_says() -> None:
    found = record(FULL, service__name="trainer", host__name="h1")
    assert (found.trace_id, found.span_id) == (int.from_bytes(TRACE), int.from_bytes(SPAN))
    assert (found.parent_span_id, found.service, found.operation) == (int.from_bytes(PARENT), "trainer", "step")
    assert (found.started_ns, found.ended_ns, found.duration_ms, found.status) == (
        START,
        START + 2_500_000,
        2,
        "completed",
    )
    assert found.metadata == {
        "attributes": {
            "s": "x", "i": -5, "f": 0.5, "b": False, "raw": "AP8=", "list": ["a", [1]], "map": {"in": {"er": True}},
        },
        "kind": "client",
        "events": [{"name": "tick", "time_ns": START + 1, "attributes": {"n": 1}}],
        "links": [{"trace_id": "02" * 16, "span_id": "03" * 8, "attributes": {}}],
        "resource": {"service.name": "trainer", "host.name": "h1"},
    }  # fmt: skip


@pytest.mark.parametrize("names", [False, True], ids=["numbers", "names"])
def test_json_says_the_same_as_protobuf(names: bool) -> None:
    made = request(FULL, service__name="trainer")
    body = json.dumps(as_json(made, names=names)).encode()
    assert read(body, JSON) == read(made.SerializeToString(), PROTOBUF) == made


def test_json_of_older_and_laxer_senders_is_read() -> None:
    upper = json.dumps(as_json(request(FULL))).replace(TRACE.hex(), TRACE.hex().upper())
    assert read(upper.encode(), JSON) == request(FULL)
    assert read(json.dumps(MessageToDict(request(FULL))).encode(), JSON) == request(FULL)  # base64, names of enums
    snake = MessageToDict(request(FULL), preserving_proto_field_name=True)
    assert read(json.dumps(snake).encode(), JSON) == request(FULL)
    old = json.dumps(as_json(request(FULL))).replace("scopeSpans", "instrumentationLibrarySpans")
    assert read(old.encode(), JSON) == request(FULL)
    bare = as_json(request(span(kind=Span.SPAN_KIND_CLIENT, status={"code": 2})), names=True)
    for prefix in ("SPAN_KIND_", "STATUS_CODE_"):
        bare = json.loads(json.dumps(bare).replace(prefix, ""))
    for written in (json.dumps(bare), json.dumps(bare).replace("ERROR", "Error").replace("CLIENT", "client")):
        assert read(written.encode(), JSON) == request(span(kind=Span.SPAN_KIND_CLIENT, status={"code": 2}))
    numbers = as_json(request(FULL))
    numbers["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["startTimeUnixNano"] = START
    assert read(json.dumps({**numbers, "unheardOf": 1}).encode(), JSON) == request(FULL)


@pytest.mark.parametrize(
    "body",
    [
        b"{", b"[]", b"7", b'{"resourceSpans": 7}', b'{"resourceSpans": [7]}',
        b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"startTimeUnixNano": "soon"}]}]}]}', b"\xff", b"[" * 100_000,
        b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"startTimeUnixNano": -1}]}]}]}', b'{"resourceSpans": NaN}',
    ],
)  # fmt: skip
def test_what_is_no_json_of_otlp_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        read(body, JSON)


def test_a_truncated_protobuf_is_malformed() -> None:
    body = request(FULL).SerializeToString()
    for length in (1, len(body) // 2, len(body) - 1):
        with pytest.raises(Malformed):
            read(body[:length], PROTOBUF)
    assert read(b"", PROTOBUF) == read(b"", JSON) == ExportTraceServiceRequest()


@pytest.mark.parametrize(("encoding", "packed"), [("gzip", gzip.compress), ("deflate", zlib.compress), ("", bytes)])
def test_a_packed_body_is_unpacked(encoding: str, packed: Any) -> None:
    assert unpack(packed(b"spans"), encoding) == b"spans"


def test_no_body_grows_beyond_its_bound() -> None:
    bomb = gzip.compress(bytes(200 * BODY_BYTES))
    assert len(bomb) < BODY_BYTES
    with pytest.raises(TooLarge):
        unpack(bomb, "gzip")
    with pytest.raises(TooLarge):
        unpack(bytes(BODY_BYTES + 1), "")
    assert len(unpack(gzip.compress(bytes(BODY_BYTES)), "gzip")) == BODY_BYTES


def test_a_few_bytes_make_no_millions_of_spans() -> None:
    spans = b"\x12\x00" * 500_000  # each an empty one
    scope = b"\x12" + _length(spans) + spans
    with pytest.raises(TooLarge):
        read(b"\x0a" + _length(scope) + scope, PROTOBUF)
    empty = ",".join(["{}"] * 100_000)
    with pytest.raises(TooLarge):
        read(f'{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{empty}]}}]}}]}}'.encode(), JSON)


def _length(body: bytes) -> bytes:
    number, told = len(body), b""
    while number > 127:
        told, number = told + bytes([number & 127 | 128]), number >> 7
    return told + bytes([number])


def test_who_sends_is_kept_short_with_each_span() -> None:
    sent = request(span(), **{f"k{number}": "x" * 1000 for number in range(100)}, **{"service.name": "mine"})
    (record,) = take(sent, NOW).records
    assert record.service == "mine" and len(str(record.metadata["resource"])) < 5000


@pytest.mark.parametrize("body", [b"", b"no gzip", gzip.compress(b"x")[:-3], gzip.compress(b"x") + b"more"])
def test_what_is_packed_wrongly_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        unpack(body, "gzip")


@given(st.binary(max_size=400), st.sampled_from(["", "gzip", "deflate"]), st.sampled_from([JSON, PROTOBUF]))
def test_no_bytes_break_the_reader(body: bytes, encoding: str, media_type: str) -> None:
    try:
        take(read(unpack(body, encoding), media_type), NOW, HOME)
    except (Malformed, TooLarge):
        return


_leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
_json = st.recursive(
    _leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)
_names = "traceId spanId parentSpanId name kind startTimeUnixNano endTimeUnixNano attributes events links status flags"


@given(st.dictionaries(st.sampled_from(_names.split()), _json), _json)
def test_no_json_breaks_the_reader(fields: dict[str, Any], other: Any) -> None:
    for body in ({"resourceSpans": [{"scopeSpans": [{"spans": [fields, other]}]}]}, {"resourceSpans": other}, other):
        try:
            found = take(read(json.dumps(body).encode(), JSON), NOW)
        except Malformed:
            continue
        assert not found.records or isinstance(fields.get("traceId"), str)


@given(st.data())
def test_a_flipped_byte_breaks_nothing(data: st.DataObject) -> None:
    body = bytearray(request(FULL, span({"error": True})).SerializeToString())
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = take(read(bytes(body), PROTOBUF), NOW, HOME)
    except Malformed:
        return
    for each in found.records:
        json.dumps(each.metadata, allow_nan=False)
        assert "\x00" not in f"{each.operation}{each.service}{each.error_message}"


def test_values_are_bounded_and_fit_for_every_database() -> None:
    deep: Any = "bottom"
    for _ in range(40):
        deep = [deep]
    many = {f"k{n}": n for n in range(ATTRIBUTES + 10)}
    found = record(span({"nul": "a\x00b", "nan": float("nan"), "long": "x" * 100_000, "deep": deep})).metadata[
        "attributes"
    ]
    assert (found["nul"], found["nan"], len(found["long"])) == ("a\ufffdb", "nan", TEXT)
    assert "bottom" not in json.dumps(found["deep"])
    crowded = record(span(many)).metadata
    assert (len(crowded["attributes"]), crowded["dropped_attributes"]) == (ATTRIBUTES, 10)


def test_what_must_not_be_kept_is_masked_before_it_is_cut() -> None:
    hushed = span(
        {"key hush": ["hush"], "long": "x" * (TEXT - 2) + "hush"}, name="hush", status={"code": 2, "message": "hush"}
    )
    event = Span.Event(name="hush", attributes=pairs({"exception.message": "hush"}))
    hushed.events.append(event)
    (found,) = take(request(hushed, where="hush"), NOW, HOME, lambda text: text.replace("hush", "***")).records
    assert "hu" not in repr(found)


def test_spans_without_fit_ids_are_refused_one_by_one() -> None:
    bad = [span(), span(), span(), span()]
    bad[0].trace_id, bad[1].trace_id, bad[2].span_id, bad[3].span_id = b"short", bytes(16), b"", bytes(8)
    found = taken(*bad, span())
    assert len(found.records) == 1
    assert [reason.split()[1] for reason in found.refused] == ["trace_id", "trace_id", "span_id", "span_id"]


def test_times_that_no_column_takes_are_refused_or_mended() -> None:
    endless = span(end_time_unix_nano=2**64 - 1)
    assert taken(endless).refused
    backwards = record(span(end_time_unix_nano=START - 5))
    assert (backwards.started_ns, backwards.ended_ns, backwards.duration_ms) == (START, START, 0)
    timeless = Span(trace_id=TRACE, span_id=SPAN)
    assert (record(timeless).started_ns, record(timeless).ended_ns, record(timeless).status) == (NOW, None, "started")


def test_a_program_sends_no_span_that_nobody_would_close() -> None:
    assert "no end" in taken(Span(trace_id=TRACE, span_id=SPAN, start_time_unix_nano=START), home=HOME).refused[0]


def test_a_parent_that_is_none_is_none() -> None:
    assert record(span(parent_span_id=bytes(8))).parent_span_id is None
    assert record(span(parent_span_id=b"x")).parent_span_id is None
    assert record(span(parent_span_id=SPAN)).parent_span_id is None


ERROR = {"code": 2}
TIMED_OUT = Span.Event(
    name="exception", attributes=pairs({"exception.type": "ReadTimeout", "exception.message": "5 s"})
)
ESCAPED = Span.Event(name="exception", attributes=pairs({"exception.type": "KeyError", "exception.escaped": "True"}))
CAUGHT = Span.Event(name="exception", attributes=pairs({"exception.type": "KeyError", "exception.escaped": False}))
BROKEN = Span.Event(name="exception", attributes=pairs({"exception.type": "OSError", "exception.message": "gone"}))


@pytest.mark.parametrize(
    ("made", "status", "error_type", "error_message"),
    [
        (span(), "completed", None, None),
        (span(status={"code": 2, "message": "boom"}), "failed", None, "boom"),
        (span(status=ERROR, events=[TIMED_OUT, BROKEN]), "failed", "OSError", "gone"),
        (span(status=ERROR, events=[BROKEN, TIMED_OUT]), "timeout", "ReadTimeout", "5 s"),
        (span({"error.type": "timeout"}, status=ERROR), "timeout", "timeout", None),
        (span(events=[BROKEN]), "completed", None, None),
        (span(events=[CAUGHT]), "completed", None, None),
        (span(events=[ESCAPED]), "failed", "KeyError", None),
        (span(events=[ESCAPED], status={"code": 1}), "completed", None, None),
        (span({"error.type": "KeyError"}), "failed", "KeyError", None),
        (span({"error": True}, events=[BROKEN]), "failed", "OSError", "gone"),
        (span({"error": "no such host"}), "failed", None, "no such host"),
        (span({"error": "false"}), "completed", None, None),
        (span({"http.status_code": 503}), "failed", "http 503", None),
        (span({"http.response.status_code": "504"}), "timeout", "http 504", None),
        (span({"http.status_code": 404}), "completed", None, None),
        (span({"http.status_code": 500}, status={"code": 1}), "completed", None, None),
        (span({"rpc.grpc.status_code": 4}), "timeout", "grpc 4", None),
        (span({"rpc.grpc.status_code": 14}), "failed", "grpc 14", None),
        (span({"rpc.grpc.status_code": 5}), "completed", None, None),
        (span({"rpc.response.status_code": "DEADLINE_EXCEEDED"}), "timeout", "grpc 4", None),
        (span({"rpc.response.status_code": "unavailable"}), "failed", "grpc 14", None),
        (span({"rpc.response.status_code": "NOT_FOUND"}), "completed", None, None),
        (span({"rpc.response.status_code": "OK"}), "completed", None, None),
        (span({"otel.status_code": "ERROR", "otel.status_description": "why"}), "failed", None, "why"),
        (span({"towline.status": "lost"}), "lost", None, None),
        (span({"towline.status": "started"}), "completed", None, None),
    ],
)  # fmt: skip
def test_how_it_ended_is_read_from_what_systems_say(
    made: Span, status: str, error_type: str | None, error_message: str | None
) -> None:
    found = record(made)
    assert (found.status, found.error_type, found.error_message) == (status, error_type, error_message)


@pytest.mark.parametrize("prefix", ["", "towline."])
def test_a_system_says_itself_what_its_spans_are_of(prefix: str) -> None:
    said = {f"{prefix}job_id": "j", f"{prefix}execution_id": 7, f"{prefix}model_id": "m", f"{prefix}region": "r"}
    for found in (record(span(said)), take(request(span(), **said), NOW).records[0]):
        assert (found.job_id, found.execution_id, found.model_id, found.region) == ("j", 7, "m", "r")
    assert record(span({"execution_id": "12"})).execution_id == 12
    for wrong in ("x", "-1", "²", 2**63 - 1 and "9" * 19, [1], 1.5):
        assert record(span({"execution_id": wrong})).execution_id is None


def test_a_containers_spans_are_its_attempts_whatever_they_claim() -> None:
    claims = {"towline.job_id": "other", "towline.execution_id": 99, "job_id": "other", "region": "moon"}
    found = record(span(claims), home=HOME, service__name="worker")
    assert (found.job_id, found.execution_id, found.model_id, found.region) == ("job-1", 5, "llama", "eu")
    assert (found.metadata["attributes"]["towline.job_id"], found.service) == ("job-1", "container")
    nowhere = record(span({"towline.region": "moon"}), home=Home(Subject("job-1", 5)))
    assert (nowhere.region, "moon" in str(nowhere.metadata)) == (None, False)
    assert record(span(), home=HOME, service__name="trainer").service == "trainer"
    assert record(span(), home=HOME, service__name="unknown_service:python").service == "container"


def test_a_containers_spans_hang_below_its_place() -> None:
    other = b"\x09" * 16
    assert record(span(), home=HOME).parent_span_id == PLACE.span_id
    assert record(span(parent_span_id=PARENT), home=HOME).parent_span_id == int.from_bytes(PARENT)
    assert record(Span(trace_id=other, span_id=SPAN, end_time_unix_nano=NOW), home=HOME).parent_span_id is None
    assert taken(span(span_id=PLACE.span_id.to_bytes(8)), home=HOME).refused


def test_answers_are_in_the_encoding_of_the_question() -> None:
    told = ExportTraceServiceResponse.FromString(answers.accepted(PROTOBUF, ["a", "a", "b"])).partial_success
    assert (told.rejected_spans, told.error_message) == (3, "2 spans refused: a; 1 spans refused: b")
    assert json.loads(answers.accepted(JSON, ["a"]))["partialSuccess"]["rejectedSpans"] == "1"
    assert (answers.accepted(PROTOBUF), answers.accepted(JSON)) == (b"", b"{}")
    for message in ("", "why", "wörter" * 100):
        assert RpcStatus.FromString(answers.failed(PROTOBUF, 3, message)) == RpcStatus(code=3, message=message)
        assert json.loads(answers.failed(JSON, 3, message)) == {"code": 3, "message": message}
