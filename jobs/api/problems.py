"""Errors as RFC 9457 problem documents: type, title, status, detail, and `errors` by field."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.db import Error as DatabaseError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views import defaults
from pydantic import ValidationError as SpecError
from rest_framework import exceptions
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response

from jobs.services import KeyReused, QueueFull, Rejected
from jobs.spec import field_errors

log = logging.getLogger(__name__)
CONTENT_TYPE = "application/problem+json"


class Conflict(exceptions.APIException):
    status_code = 409
    default_detail = "That does not go with the present state."
    default_code = "conflict"


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


def _translate(error: Exception) -> tuple[dict[str, Any], dict[str, str]] | None:
    if isinstance(error, SpecError):
        return _invalid(field_errors(error)), {}
    if isinstance(error, Rejected):
        return _invalid(error.errors), {}
    if isinstance(error, KeyReused):
        detail = "This Idempotency-Key was used with another body: take a new key, or send the same body."
        return problem(409, detail, slug="idempotency-key-reused"), {}
    if isinstance(error, QueueFull):
        detail = "As many jobs wait as this installation allows (TOWLINE_MAX_QUEUED): try again later."
        return problem(429, detail, slug="queue-full"), {"Retry-After": "10"}
    if isinstance(error, DatabaseError):
        log.error("the database failed a request: %s", error)
        return problem(503, "The database does not answer just now: try again.", slug="database"), {"Retry-After": "2"}
    if isinstance(error, Http404):
        return problem(404, "There is nothing here that you may see."), {}
    if isinstance(error, PermissionDenied):
        return problem(403, "You may not do that."), {}
    if isinstance(error, exceptions.APIException):
        return _from_drf(error)
    return None


def _invalid(errors: dict[str, list[str]]) -> dict[str, Any]:
    fields = ", ".join(sorted(errors))
    return problem(400, f"Mend these and send it again: {fields}.", errors, slug="invalid")


def _from_drf(error: exceptions.APIException) -> tuple[dict[str, Any], dict[str, str]]:
    headers: dict[str, str] = {}
    if getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = error.auth_header  # type: ignore[attr-defined]
    if getattr(error, "wait", None):
        headers["Retry-After"] = str(int(error.wait))  # type: ignore[attr-defined]
    if isinstance(error, exceptions.ValidationError) and isinstance(error.detail, dict):
        return _invalid({str(field): [str(text) for text in texts] for field, texts in error.detail.items()}), headers
    detail = error.detail if isinstance(error.detail, str) else "; ".join(map(str, error.detail))
    return problem(error.status_code, str(detail)), headers


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    if not _is_api(request):
        return defaults.page_not_found(request, exception or Http404())
    return _plain(404, "There is no such address.")


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
