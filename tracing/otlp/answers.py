"""What a sender over OTLP/HTTP is answered, in the encoding it spoke. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import orjson
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceResponse,
)

from .reading import JSON


def accepted(media_type: str, refused: Sequence[str] = ()) -> bytes:
    """`refused`: a reason for each span that was not taken, which nobody is to send again."""
    reasons = "; ".join(f"{count} spans refused: {reason}" for reason, count in Counter(refused).most_common(5))
    if media_type == JSON:
        told = {"partialSuccess": {"rejectedSpans": str(len(refused)), "errorMessage": reasons}} if refused else {}
        return orjson.dumps(told)
    partial = ExportTracePartialSuccess(rejected_spans=len(refused), error_message=reasons) if refused else None
    return ExportTraceServiceResponse(partial_success=partial).SerializeToString()


def failed(media_type: str, code: int, message: str) -> bytes:
    """`code`: gRPC's, of google.rpc."""
    if media_type == JSON:
        return orjson.dumps({"code": code, "message": message})
    text = message.encode()
    return b"\x08" + _varint(code) + b"\x12" + _varint(len(text)) + text  # google.rpc.Status: code is 1, message is 2


def _varint(number: int) -> bytes:
    low, rest = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + _varint(rest) if rest else bytes([low])
