"""Errors as RFC 9457 problem documents: type, title, status, detail, and `errors` by field."""

from __future__ import annotations

import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import Error as DatabaseError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views import defaults
from pydantic import ValidationError as SpecError
from rest_framework import exceptions
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response

from jobs.logs.dropped import LogDropped
from jobs.logs.vault import Unreadable
from jobs.secrets.keeping import SecretExists
from jobs.services import KeyReused, NotTriedAgain, QueueFull, Rejected
from jobs.spec import field_errors

from .parsing import BodyTooLarge

log = logging.getLogger(__name__)
CONTENT_TYPE = "application/problem+json"


class TracesUnreadable(Exception):
    """The table of spans, or a question asked of it, fails."""


def problem(status: int, detail: str, errors: dict[str, list[str]] | None = None, slug: str = "") -> dict[str, Any]:
    body: dict[str, Any] = {
        "type": f"urn:towline:problem:{slug}" if slug else "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    if errors:
        body["errors"] = errors
    return body


def answer_problem(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's exception handler. None, a bug of ours, is logged and answered by `server_error`."""
    known = _translate(error)
    if known is None:
        return None
    body, headers = known
    # Past content negotiation a client that asked for text or a stream still gets the problem document.
    request = context.get("request")
    if request is not None:
        request.accepted_renderer, request.accepted_media_type = JSONRenderer(), CONTENT_TYPE
    return Response(body, status=body["status"], headers=headers, content_type=CONTENT_TYPE)


Answer = tuple[dict[str, Any], dict[str, str]]  # body, headers


def _translate(error: Exception) -> Answer | None:
    return next((answer(error) for kind, answer in ANSWERS.items() if isinstance(error, kind)), None)


def _key_reused(error: Any) -> Answer:
    detail = "This Idempotency-Key was used with another body: take a new key, or send the same body."
    return problem(409, detail, slug="idempotency-key-reused"), {}


def _not_tried_again(error: Any) -> Answer:
    return problem(409, str(error), slug="not-tried-again"), {}


def _log_dropped(error: Any) -> Answer:
    return problem(410, str(error), slug="log-dropped"), {}


def _secret_exists(error: Any) -> Answer:
    detail = (
        "The project has a secret of this name: replace its value with PUT /api/v1/secrets/{id}/, or take another name."
    )
    return problem(409, detail, slug="secret-exists"), {}


def _queue_full(error: Any) -> Answer:
    detail = "As many jobs wait as this installation allows (TOWLINE_MAX_QUEUED): try again later."
    return problem(429, detail, slug="queue-full"), {"Retry-After": "10"}


def _database(error: Any) -> Answer:
    log.error("the database failed a request: %s", error)
    return problem(503, "The database does not answer just now: try again.", slug="database"), {"Retry-After": "2"}


def _traces_unreadable(error: Any) -> Answer:
    detail = (
        "The trace store does not answer; jobs are not touched by that. Who runs this installation finds the cause with "
        "`manage.py doctor`; a table or function that is missing comes back with `manage.py migrate`."
    )
    return problem(503, detail, slug="trace-store"), {"Retry-After": "10"}


def _log_unreadable(error: Any) -> Answer:
    log.error("%s", error)
    detail = "The log storage does not give this log just now: try again, or ask who runs this installation."
    return problem(503, detail, slug="log-storage"), {"Retry-After": "10"}


def _invalid(errors: dict[str, list[str]]) -> dict[str, Any]:
    fields = ", ".join(sorted(errors))
    return problem(400, f"Mend these and send it again: {fields}.", errors, slug="invalid")


def _from_drf(error: Any) -> Answer:
    headers: dict[str, str] = {}
    if getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = error.auth_header
    if getattr(error, "wait", None):
        headers["Retry-After"] = str(int(error.wait))
    if isinstance(error, exceptions.ValidationError) and isinstance(error.detail, dict):
        return _invalid({str(field): [str(text) for text in texts] for field, texts in error.detail.items()}), headers
    detail = error.detail if isinstance(error.detail, str) else "; ".join(map(str, error.detail))
    return problem(error.status_code, str(detail)), headers


ANSWERS: dict[type[Exception], Callable[[Any], Answer]] = {
    SpecError: lambda error: (_invalid(field_errors(error)), {}),
    Rejected: lambda error: (_invalid(error.errors), {}),
    KeyReused: _key_reused,
    NotTriedAgain: _not_tried_again,
    QueueFull: _queue_full,
    LogDropped: _log_dropped,
    SecretExists: _secret_exists,
    DatabaseError: _database,
    Unreadable: _log_unreadable,
    TracesUnreadable: _traces_unreadable,
    RequestDataTooBig: lambda error: _from_drf(BodyTooLarge()),
    Http404: lambda error: (problem(404, "There is nothing here that you may see."), {}),
    PermissionDenied: lambda error: (problem(403, "You may not do that."), {}),
    exceptions.APIException: _from_drf,
}


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    if not _is_api(request):
        return defaults.page_not_found(request, exception or Http404())
    slash = "" if request.path.endswith("/") else " Addresses here end in a slash."
    return _plain(404, f"There is no such address.{slash}")


def server_error(request: HttpRequest) -> HttpResponse:
    if not _is_api(request):
        return defaults.server_error(request)
    return _plain(500, "A mistake of Towline's, not of yours. It is in the log of the web process.")


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    if not _is_api(request):
        return defaults.bad_request(request, exception or SuspiciousOperation())
    return _plain(400, "The request can't be understood.")


def _is_api(request: HttpRequest) -> bool:
    return request.path.startswith("/api/")


def _plain(status: int, detail: str) -> JsonResponse:
    return JsonResponse(problem(status, detail), status=status, content_type=CONTENT_TYPE)
