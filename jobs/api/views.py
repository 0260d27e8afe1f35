"""Jobs over REST: submit, list, read, cancel, wait, and what hangs on a job."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import generics, status
from rest_framework.exceptions import PermissionDenied, ValidationError
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from jobs.cloning import merged
from jobs.logs.watch import End, joined
from jobs.looks import look
from jobs.models import Attempt, Event, Job, JobQuerySet
from jobs.services import cancel, retry, submit
from jobs.spec import JobSpec, parse_spec
from jobs.waiting import explained

from .filters import JobFilter, KnownFilters, KnownOrdering, NewestFirst, OldestFirst
from .parsing import json_object
from .serializers import AttemptSerializer, EventSerializer, JobSerializer, ProblemSerializer

WAIT_SECONDS_MOST = 300.0
PROBLEM = OpenApiResponse(ProblemSerializer, description="A problem document.")
IDEMPOTENCY_KEY = OpenApiParameter("Idempotency-Key", str, "header", description="The same again: the first job.")
SUBMITTED = {201: JobSerializer, 200: JobSerializer, 400: PROBLEM, 409: PROBLEM, 413: PROBLEM, 429: PROBLEM}


class VisibleJobs(generics.GenericAPIView[Job]):
    """The jobs that the caller may see; all others do not exist for them."""

    queryset = Job.objects.all()
    lookup_field = "pk"

    def get_queryset(self) -> JobQuerySet:
        if getattr(self, "swagger_fake_view", False):
            return Job.objects.none()
        return Job.objects.visible_to(self.request.user).select_related("project").prefetch_related("attempts")


class Jobs(VisibleJobs, generics.ListAPIView[Job]):
    serializer_class = JobSerializer
    pagination_class = NewestFirst
    filter_backends = [KnownFilters, KnownOrdering]
    filterset_class = JobFilter
    ordering_fields = ["created_at", "priority", "name"]

    def paginate_queryset(self, queryset: Any) -> list[Any] | None:
        return explained(super().paginate_queryset(queryset) or [])

    @extend_schema(request=JobSpec, parameters=[IDEMPOTENCY_KEY], responses=SUBMITTED)
    def post(self, request: Request) -> Response:
        """Submit a job."""
        return _submitted(request, json_object(request))


class JobDetail(VisibleJobs, generics.RetrieveAPIView[Job]):
    serializer_class = JobSerializer


class JobCancel(VisibleJobs):
    serializer_class = JobSerializer

    @extend_schema(request=None, responses={202: JobSerializer, 200: JobSerializer})
    def post(self, request: Request, pk: UUID) -> Response:
        """Ask for its end: 202. A job that is over stays as it is: 200."""
        job = self.get_object()
        if not job.may_be_ended_by(acting_user(request)):
            raise PermissionDenied("You may see this job but not end it: ask its owner.")
        was_final = job.is_final
        cancel(job, acting_user(request).get_username())
        shown = self.get_serializer(self.get_object()).data
        return Response(shown, status.HTTP_200_OK if was_final else status.HTTP_202_ACCEPTED)


class JobRetry(VisibleJobs):
    serializer_class = JobSerializer

    @extend_schema(request=None, responses={202: JobSerializer, 409: PROBLEM})
    def post(self, request: Request, pk: UUID) -> Response:
        """Try a failed or cancelled job again, as a new attempt: 202. Of another state: 409."""
        job = self.get_object()
        if not job.may_be_ended_by(acting_user(request)):
            raise PermissionDenied("You may see this job but not try it again: ask its owner.")
        retry(job, acting_user(request).get_username())
        return Response(self.get_serializer(self.get_object()).data, status.HTTP_202_ACCEPTED)


class JobClone(VisibleJobs):
    serializer_class = JobSerializer

    @extend_schema(request=OpenApiTypes.OBJECT, parameters=[IDEMPOTENCY_KEY], responses=SUBMITTED)
    def post(self, request: Request, pk: UUID) -> Response:
        """Submit a new job from this one's spec, changed by the body as a JSON Merge Patch: null is a field's default."""
        return _submitted(request, merged(self.get_object().spec, json_object(request)))


class JobWait(VisibleJobs):
    serializer_class = JobSerializer

    @extend_schema(
        parameters=[OpenApiParameter("timeout", float, description="Seconds, at most 300; 30 when left out.")]
    )
    def get(self, request: Request, pk: UUID) -> HttpResponseBase:
        """The job once it is final, or as it stands when the time-out is over."""
        seconds = seconds_parameter(request, "timeout", 30.0, WAIT_SECONDS_MOST)
        if visible_job(self).is_final or not seconds:
            return Response(self.get_serializer(self.get_object()).data)
        # Answered from the event loop: a waiting client costs no thread.
        return StreamingHttpResponse(self._answer_later(pk, seconds), content_type="application/json")

    async def _answer_later(self, pk: UUID, seconds: float) -> AsyncIterator[bytes]:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds), joined(End, pk) as watch:
                while not (watch.final or watch.over):
                    await watch.next(watch.turn)
        yield await look(self._render)

    def _render(self) -> bytes:
        return JSONRenderer().render(self.get_serializer(self.get_object()).data)


class JobAttempts(generics.ListAPIView[Attempt]):
    """Each try, the first first."""

    serializer_class = AttemptSerializer
    pagination_class = OldestFirst
    queryset = Attempt.objects.none()
    filter_backends: list[Any] = []

    def get_queryset(self) -> QuerySet[Attempt]:
        return visible_job(self).attempts.all()


class JobAttempt(generics.RetrieveAPIView[Attempt]):
    """One try, by its number."""

    serializer_class = AttemptSerializer
    queryset = Attempt.objects.none()
    lookup_field = "number"

    def get_queryset(self) -> QuerySet[Attempt]:
        return visible_job(self).attempts.all()


class JobEvents(generics.ListAPIView[Event]):
    """The time-line, oldest first."""

    serializer_class = EventSerializer
    pagination_class = OldestFirst
    queryset = Event.objects.none()
    filter_backends: list[Any] = []

    def get_queryset(self) -> QuerySet[Event]:
        return visible_job(self).events.select_related("attempt")


def _submitted(request: Request, data: dict[str, Any]) -> Response:
    job, created = submit(parse_spec(data), acting_user(request), idempotency_key=_idempotency_key(request))
    body = JobSerializer(job, context={"request": request}).data
    headers = {"Location": body["links"]["self"], **({} if created else {"Idempotent-Replay": "true"})}
    return Response(body, status.HTTP_201_CREATED if created else status.HTTP_200_OK, headers=headers)


def visible_job(view: APIView) -> Job:
    if getattr(view, "swagger_fake_view", False):
        return Job()
    return generics.get_object_or_404(Job.objects.visible_to(view.request.user), pk=view.kwargs["pk"])


def acting_user(request: Request) -> User:
    """The authenticated user: every view asks for one before it gets here."""
    assert isinstance(request.user, User)  # noqa: S101 - for the type checker; IsAuthenticated has seen to it
    return request.user


def _idempotency_key(request: Request) -> str | None:
    key = request.headers.get("Idempotency-Key")
    if key is not None and not re.fullmatch(r"[\x21-\x7e]{1,255}", key):
        raise ValidationError({"Idempotency-Key": ["has 1 to 255 visible ASCII characters"]})
    return key


def seconds_parameter(request: Request, name: str, default: float, most: float) -> float:
    text = request.query_params.get(name)
    if text is None:
        return default
    if not re.fullmatch(r"\d{1,9}(\.\d{1,6})?", text, re.ASCII):
        raise ValidationError({name: [f"must be a number of seconds from 0 to {most:g}"]})
    return min(float(text), most)
