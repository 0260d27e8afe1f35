"""Requests that change something, as the first spans of a trace. One that comes with a `traceparent` goes on with that trace.

Reading is not traced: lists are polled, logs are followed for hours, and no job's trace begins there. Nor is taking in spans,
which would make spans of spans.
"""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import Resolver404, resolve
from opentelemetry.trace import SpanKind

from tracing import spans
from tracing.identity import Parent
from tracing.services import WEB

READING = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
TAKES_SPANS = "/v1/traces"  # as OTLP has it, below whatever
Answer = Callable[[HttpRequest], HttpResponseBase]


class TracedRequests:
    """Django's middleware; the outermost, so that the span has all of the request in it."""

    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not spans.on() or not _is_worth_it(request):
            return self.get_response(request)
        parent = Parent.parse(request.headers.get("traceparent", ""))
        method, route = request.method or "", _route(request)
        known = {"http.request.method": method, "http.route": route, "url.path": request.path[:500]}
        with spans.span(f"{method} {route}", WEB, parent=parent, root=True, kind=SpanKind.SERVER) as doing:
            doing.set(**known)
            answer = self.get_response(request)
            doing.set(http__response__status_code=answer.status_code)
            if answer.status_code >= 500:
                doing.fail(
                    f"http_{answer.status_code}", answer.reason_phrase if hasattr(answer, "reason_phrase") else ""
                )
        return answer


def _is_worth_it(request: HttpRequest) -> bool:
    """A stranger, who shows nothing to be known by, fills no table."""
    known = "authorization" in request.headers or settings.SESSION_COOKIE_NAME in request.COOKIES
    return known and request.method not in READING and not request.path.endswith(TAKES_SPANS)


def _route(request: HttpRequest) -> str:
    try:
        return resolve(request.path_info).route
    except Resolver404:
        return "unknown"
