"""Where spans are sent: OTLP over HTTP, as OpenTelemetry's exporters speak it, errors included.

Containers come with the token of their attempt, other systems with the token of somebody who may add spans.
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import APIException, AuthenticationFailed, ParseError, UnsupportedMediaType
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.permissions import BasePermission
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from jobs.models import Attempt
from jobs.receiving import NoRoom, receive
from jobs.tokens import PREFIX, attempt_of
from tracing.otlp import answers
from tracing.otlp.reading import (
    BODY_BYTES,
    ENCODINGS,
    JSON,
    LARGE_BODY_BYTES,
    PROTOBUF,
    Malformed,
    TooLarge,
    read,
    unpack,
)

from .authentication import BearerToken
from .problems import answer_problem

UNKNOWN = 2
CODES = {400: 3, 401: 16, 403: 7, 405: 12, 413: 8, 415: 3, 429: 8, 500: 13, 503: 14}  # HTTP's, in gRPC's words


class Later(APIException):
    status_code = 503
    default_detail = "As many spans wait to be written as may (TOWLINE_TRACE_BUFFER): send them again later."
    wait = 2


class TooMuch(APIException):
    status_code = 413
    default_detail = (
        f"The body has more than {LARGE_BODY_BYTES} bytes, a container's more than {BODY_BYTES}, or too many spans: "
        "send smaller batches."
    )


class AttemptToken(BaseAuthentication):
    """`request.auth` is then the attempt; its container is no user."""

    def authenticate(self, request: Request) -> tuple[AnonymousUser, Attempt] | None:
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() != "bearer" or not token.startswith(PREFIX):
            return None
        if (attempt := attempt_of(token)) is None:
            raise AuthenticationFailed("The token is wrong, or its attempt is over.")
        return AnonymousUser(), attempt

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class MaySendSpans(BasePermission):
    message = "Spans are sent with a container's TOWLINE_TOKEN, or by who has the permission tracing.add_span."

    def has_permission(self, request: Request, view: APIView) -> bool:
        return isinstance(request.auth, Attempt) or bool(request.user and request.user.has_perm("tracing.add_span"))


class AsAsked(BaseContentNegotiation):
    """The answer is in the encoding of the question, whatever is said to be accepted."""

    def select_parser(self, request: Request, parsers: Any) -> None:
        return None

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> Any:
        return JSONRenderer(), JSON


class Traces(APIView):
    authentication_classes = [AttemptToken, BearerToken]
    permission_classes = [MaySendSpans]
    content_negotiation_class = AsAsked

    @extend_schema(
        operation_id="otlp_traces",
        request={PROTOBUF: OpenApiTypes.BINARY, JSON: OpenApiTypes.OBJECT},
        responses={
            (200, PROTOBUF): OpenApiResponse(
                OpenApiTypes.BINARY, "ExportTraceServiceResponse; what it says was refused, why."
            ),
            (200, JSON): OpenApiResponse(OpenApiTypes.OBJECT, "The same."),
            ("default", PROTOBUF): OpenApiResponse(OpenApiTypes.BINARY, "google.rpc.Status."),
            ("default", JSON): OpenApiResponse(OpenApiTypes.OBJECT, "The same."),
        },
    )
    def post(self, request: Request) -> HttpResponseBase:
        """Spans over OTLP/HTTP, an ExportTraceServiceRequest in protobuf or JSON; `gzip` and `deflate` are understood."""
        kind, encoding = _media_type(request), request.headers.get("Content-Encoding", "").strip().lower()
        if kind not in (PROTOBUF, JSON):
            raise UnsupportedMediaType(kind, f"Send {PROTOBUF} or {JSON}.")
        if encoding not in ENCODINGS:
            raise UnsupportedMediaType(encoding, "Send it plain, or as gzip or deflate.")
        attempt = request.auth if isinstance(request.auth, Attempt) else None
        try:
            most = BODY_BYTES if attempt else LARGE_BODY_BYTES
            # Past REST framework's parsers, which take a body without a Content-Length for none.
            sent = read(unpack(request._request.read(most + 1), encoding, most), kind)
            refused = receive(sent, attempt)
        except Malformed as error:
            raise ParseError(str(error)) from error
        except TooLarge as error:
            raise TooMuch from error
        except NoRoom as error:
            raise Later from error
        return HttpResponse(answers.accepted(kind, refused), content_type=kind)

    def get_exception_handler(self) -> Any:
        return _answer_failure


def _media_type(request: Request) -> str:
    return (request.content_type or "").partition(";")[0].strip().lower()


def _answer_failure(error: Exception, context: dict[str, Any]) -> HttpResponse | None:
    """The status and the headers that the rest of the API answers with, around OTLP's own body."""
    problem = answer_problem(error, context)
    if problem is None:
        return None
    kind = PROTOBUF if _media_type(context["request"]) == PROTOBUF else JSON
    body = answers.failed(kind, CODES.get(problem.status_code, UNKNOWN), problem.data["detail"])
    headers = {name: value for name, value in problem.headers.items() if name != "Content-Type"}
    return HttpResponse(body, status=problem.status_code, headers=headers, content_type=kind)
