"""What somebody sent over OTLP/HTTP, as OpenTelemetry's own message: unpacked within bounds, from protobuf or JSON. Pure."""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Iterator
from typing import Any

import orjson
from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

# As it comes, and unpacked: of a container, and of who may add any spans, as much as a Collector takes.
BODY_BYTES, LARGE_BODY_BYTES = 4 * 1024 * 1024, 20 * 1024 * 1024
PROTOBUF, JSON = "application/x-protobuf", "application/json"
ENCODINGS = ("", "identity", "gzip", "deflate")
DEPTH = 60
MESSAGES_MOST = 40_000  # resources, scopes and spans of one request
_FIELDS = (1, 2, 2)  # resource_spans, scope_spans, spans: their numbers
# What lies in what, on the way to the spans, in either spelling that protobuf's JSON knows.
_LEVELS = (("resourceSpans", "resource_spans"), ("scopeSpans", "scope_spans"), ("spans",))
_OLD_SCOPES = "instrumentationLibrarySpans"
_IDS = {"traceId": 16, "trace_id": 16, "spanId": 8, "span_id": 8, "parentSpanId": 8, "parent_span_id": 8}


class Malformed(Exception):
    """It is no export of traces; the message says why."""


class TooLarge(Exception):
    """It is larger than anybody's batch of spans."""


def unpack(body: bytes, encoding: str, most: int = BODY_BYTES) -> bytes:
    """`encoding`: one of ENCODINGS. Never more than `most` bytes, however small it was packed."""
    if len(body) > most:
        raise TooLarge
    if encoding in ("", "identity"):
        return body
    unpacking = zlib.decompressobj(32 + zlib.MAX_WBITS)  # knows both by their heads
    try:
        found = unpacking.decompress(body, most + 1)
    except zlib.error as error:
        raise Malformed(f"the body is not {encoding}: {error}") from error
    if len(found) > most:
        raise TooLarge
    if not unpacking.eof or unpacking.unused_data:
        raise Malformed(f"the body is not {encoding}: it ends too early, or goes on behind its end")
    return found


def read(body: bytes, media_type: str) -> ExportTraceServiceRequest:
    return _read_json(body) if media_type == JSON else _read_protobuf(body)


def _read_protobuf(body: bytes) -> ExportTraceServiceRequest:
    _count(body)
    request = ExportTraceServiceRequest()
    try:
        request.ParseFromString(body)
    except DecodeError as error:
        raise Malformed(f"the body is not an ExportTraceServiceRequest in protobuf: {error}") from error
    return request


def _count(body: bytes) -> None:
    """Of two bytes protobuf makes a message of two hundred: so what is too many is counted before there is any."""
    left = MESSAGES_MOST
    waiting = [(0, len(body), 0)]
    while waiting:
        at, end, depth = waiting.pop()
        for begin, until in _parts(body, at, end, _FIELDS[depth]):
            left -= 1
            if left < 0:
                raise TooLarge
            if depth + 1 < len(_FIELDS):
                waiting.append((begin, until, depth + 1))


def _parts(body: bytes, at: int, end: int, wanted: int) -> Iterator[tuple[int, int]]:
    """Where the messages of that field lie. What is no protobuf, the reader says."""
    while at < end:
        tag, at = _varint(body, at, end)
        kind = tag & 7
        if kind == 2:
            size, at = _varint(body, at, end)
            if tag >> 3 == wanted:
                yield at, min(at + size, end)
            at += size
        elif kind == 0:
            _, at = _varint(body, at, end)
        elif kind in (1, 5):
            at += 8 if kind == 1 else 4
        else:
            return


def _varint(body: bytes, at: int, end: int) -> tuple[int, int]:
    number = shift = 0
    while at < end and shift < 70:
        byte = body[at]
        at += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number, at
        shift += 7
    return 0, end


def _read_json(body: bytes) -> ExportTraceServiceRequest:
    try:
        data = orjson.loads(body or b"{}")
        return ParseDict(
            _with_bytes(data), ExportTraceServiceRequest(), ignore_unknown_fields=True, max_recursion_depth=DEPTH
        )
    except (ParseError, ValueError, TypeError, AttributeError, RecursionError) as error:
        # The last ones are how protobuf's reader stumbles over a list where an object should be.
        raise Malformed(f"the body is not an ExportTraceServiceRequest in JSON: {str(error)[:500]}") from error


def _with_bytes(request: Any) -> Any:
    """OTLP's JSON has ids in hexadecimal digits, where protobuf's has all bytes in base64."""
    if not isinstance(request, dict):
        raise ValueError("it must be an object")  # noqa: TRY004 - of what was sent, not of a type
    level = [request]
    for names in _LEVELS:
        for each in level:
            if _OLD_SCOPES in each:
                each["scopeSpans"] = each.pop(_OLD_SCOPES)
        level = [inner for each in level for name in names for inner in _objects(each.get(name))]
        if len(level) > MESSAGES_MOST:
            raise TooLarge
    for span in level:
        _name_enums(span)
        for each in (span, *_objects(span.get("links"))):
            each.update({name: _id(each[name], size) for name, size in _IDS.items() if name in each})
    return request


def _name_enums(span: dict[str, Any]) -> None:
    """Some write ERROR for STATUS_CODE_ERROR: protobuf's reader would take that for nothing, and the span for a good one."""
    for holder, name, prefix in ((span, "kind", "SPAN_KIND_"), (span.get("status"), "code", "STATUS_CODE_")):
        if isinstance(holder, dict) and isinstance(said := holder.get(name), str) and said.isalpha():
            holder[name] = prefix + said.upper()


def _objects(found: Any) -> list[dict[str, Any]]:
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _id(text: Any, size: int) -> str:
    """For protobuf's reader; empty where it is no id. Senders that know protobuf's JSON alone write base64."""
    try:
        found = bytes.fromhex(text) if len(text) == 2 * size else base64.b64decode(text, validate=True)
    except (ValueError, TypeError, binascii.Error):
        return ""
    return base64.b64encode(found).decode() if len(found) == size else ""
