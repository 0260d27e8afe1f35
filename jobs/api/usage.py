"""What an attempt's container used, over time, over REST."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import Http404
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from jobs.traces.answers import NoSuchAttempt, attempt_of
from jobs.usage import samples_of

from .serializers import ProblemSerializer
from .trace_serializers import AttemptAskedSerializer
from .views import visible_job


class SampleSerializer(serializers.Serializer[Any]):
    time = serializers.DateTimeField()
    memory_bytes = serializers.IntegerField()
    cpu_seconds = serializers.FloatField(help_text="CPU time so far.")
    cpus = serializers.FloatField(help_text="How many were busy on average since the sample before.")


class UsageSerializer(serializers.Serializer[Any]):
    """The peaks are the runtime's own, where it knows them, and may be higher than any sample."""

    attempt = serializers.IntegerField(allow_null=True)
    memory_limit_bytes = serializers.IntegerField(allow_null=True)
    memory_peak_bytes = serializers.IntegerField(allow_null=True)
    cpu_seconds = serializers.FloatField(allow_null=True)
    samples = SampleSerializer(many=True)


class JobUsage(APIView):
    @extend_schema(
        parameters=[AttemptAskedSerializer],
        responses={
            200: UsageSerializer,
            400: OpenApiResponse(ProblemSerializer),
            404: OpenApiResponse(ProblemSerializer),
        },
    )
    def get(self, request: Request, pk: UUID) -> Response:
        """CPU and memory of an attempt: a sample every two seconds, or fewer of a long run; half a minute behind while it runs."""
        job = visible_job(self)
        asked = AttemptAskedSerializer(data=request.query_params)
        asked.is_valid(raise_exception=True)
        try:
            attempt = attempt_of(job, asked.validated_data.get("attempt"))
        except NoSuchAttempt as error:
            raise Http404(str(error)) from error
        usage = attempt.usage if attempt else {}
        samples = samples_of([attempt]) if attempt else {}
        shown = {
            "attempt": attempt.number if attempt else None,
            "memory_limit_bytes": attempt.memory_bytes if attempt else None,
            "memory_peak_bytes": usage.get("memory_peak_bytes"),
            "cpu_seconds": usage.get("cpu_seconds"),
            "samples": samples.get(attempt.pk, []) if attempt else [],
        }
        return Response(UsageSerializer(shown).data)
