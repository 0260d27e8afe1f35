"""How a span ended, from what systems say of it: OpenTelemetry's status first, then the habits of older ones. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from opentelemetry.proto.trace.v1.trace_pb2 import Status as Said

from ..models import Status
from ..records import ERROR_TYPE, STATUS

_TIMED_OUT = re.compile(r"deadline.?exceeded|timed?.?out", re.IGNORECASE)
_NO = frozenset({"", "0", "false", "no", "none", "null"})
_HTTP = ("http.response.status_code", "http.status_code")
_GRPC = ("rpc.grpc.status_code", "rpc.response.status_code", "grpc.status_code")
_GRPC_NAMES = (
    "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE",
    "DATA_LOSS", "UNAUTHENTICATED",
)  # fmt: skip
GRPC_DEADLINE = 4
GRPC_FAILURES = frozenset(
    {2, GRPC_DEADLINE, 12, 13, 14, 15}
)  # what is the server's doing, by OpenTelemetry's conventions
HTTP_TIMEOUTS = frozenset({408, 504})
_ESCAPED = "exception.escaped"  # it ended the span; of any other, nobody knows whether it was caught
_TYPES = (ERROR_TYPE, "exception.type", "error.kind")
_MESSAGES = ("exception.message", "error.message", "error.msg", "error.object", "otel.status_description")
_FINAL = frozenset(Status.values) - {Status.STARTED}


class Outcome(NamedTuple):
    status: Status
    error_type: str | None = None
    error_message: str | None = None


def outcome(code: int, message: str, attributes: Mapping[str, Any], events: Sequence[Mapping[str, Any]]) -> Outcome:
    """Of a span that is over. `code` and `message` are its status; the exceptions are among `events`."""
    told = attributes.get(STATUS)
    failed = _failed(code, attributes, events)
    if told not in _FINAL and not failed:
        return Outcome(Status.COMPLETED)
    known = {**attributes, **_exception(events)}
    kind, why = _first(known, _TYPES), message or _first(known, _MESSAGES) or _word(attributes.get("error"))
    late = _TIMED_OUT.search(kind) or _grpc(known) == GRPC_DEADLINE or _number(known, _HTTP) in HTTP_TIMEOUTS
    status = Status(told) if told in _FINAL else Status.TIMEOUT if late else Status.FAILED
    return Outcome(status, kind[:100] or _code(known), why or None)


def _failed(code: int, attributes: Mapping[str, Any], events: Sequence[Mapping[str, Any]]) -> bool:
    """Who says OK means it, whatever else is there; who says nothing may mean either."""
    if code != Said.STATUS_CODE_UNSET:
        return code == Said.STATUS_CODE_ERROR
    return (
        _says(attributes.get("error"))
        or _says(attributes.get(ERROR_TYPE))  # nobody is to set it where all went well
        or str(attributes.get("otel.status_code", "")).upper() == "ERROR"
        or (_number(attributes, _HTTP) or 0) >= 500
        or _grpc(attributes) in GRPC_FAILURES
        or any(_says(event.get("attributes", {}).get(_ESCAPED)) for event in events if event["name"] == "exception")
    )


def _says(value: Any) -> bool:
    return value is not None and str(value).lower() not in _NO


def _exception(events: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The last one, which is what got out."""
    found = [event.get("attributes", {}) for event in events if event["name"] == "exception"]
    return {key: value for key, value in found[-1].items() if key in (*_TYPES, *_MESSAGES)} if found else {}


def _first(attributes: Mapping[str, Any], names: Sequence[str]) -> str:
    return next((str(attributes[name]) for name in names if attributes.get(name)), "")


def _word(error: Any) -> str:
    """Some write there what went wrong, others only that something did."""
    return error if isinstance(error, str) and error.lower() != "true" else ""


def _number(attributes: Mapping[str, Any], names: Sequence[str]) -> int | None:
    text = _first(attributes, names)
    return int(text) if re.fullmatch(r"[0-9]{1,3}", text, re.ASCII) else None


def _grpc(attributes: Mapping[str, Any]) -> int | None:
    """By number or, as of late, by name."""
    name = _first(attributes, _GRPC).upper()
    return _GRPC_NAMES.index(name) if name in _GRPC_NAMES else _number(attributes, _GRPC)


def _code(attributes: Mapping[str, Any]) -> str | None:
    """Better than no type at all."""
    http, grpc = _number(attributes, _HTTP), _grpc(attributes)
    return f"http {http}" if http and http >= 400 else f"grpc {grpc}" if grpc else None
