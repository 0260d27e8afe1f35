"""Figures over REST."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from jobs.statistics.figures import figures
from jobs.statistics.window import DEFAULT, window

from .serializers import ProblemSerializer
from .views import acting_user


class WindowSerializer(serializers.Serializer[Any]):
    seconds = serializers.IntegerField()
    since = serializers.DateTimeField()
    until = serializers.DateTimeField()


class QueueSerializer(serializers.Serializer[Any]):
    """As it is now."""

    queued = serializers.IntegerField()
    assigned = serializers.IntegerField()
    running = serializers.IntegerField()
    by_reason = serializers.DictField(child=serializers.IntegerField(), help_text="Of those queued.")


class EndsSerializer(serializers.Serializer[Any]):
    succeeded = serializers.IntegerField()
    failed = serializers.IntegerField()
    cancelled = serializers.IntegerField()


class BucketSerializer(EndsSerializer):
    """Jobs by the hour or day of their end."""

    at = serializers.DateTimeField()


class ThroughputSerializer(serializers.Serializer[Any]):
    submitted = serializers.IntegerField()
    finished = serializers.IntegerField()
    per_hour = serializers.FloatField(help_text="Finished.")
    by_state = EndsSerializer()
    bucket_seconds = serializers.IntegerField(help_text="An hour up to 3d, else a day; UTC.")
    buckets = BucketSerializer(many=True)


class PercentilesSerializer(serializers.Serializer[Any]):
    """Seconds, of the newest 100,000 jobs that ended in the window and had started; null where there was none."""

    jobs = serializers.IntegerField()
    p50 = serializers.FloatField(allow_null=True)
    p90 = serializers.FloatField(allow_null=True)
    p95 = serializers.FloatField(allow_null=True)
    p99 = serializers.FloatField(allow_null=True)
    max = serializers.FloatField(allow_null=True)


class WrittenSerializer(serializers.Serializer[Any]):
    """`bytes` and `lines` of attempts that ended in the window or are under way."""

    project = serializers.CharField()
    lines = serializers.IntegerField()
    bytes = serializers.IntegerField()


class ProjectLogsSerializer(WrittenSerializer):
    kept_bytes = serializers.IntegerField(help_text="Of all its logs that are there, as stored.")


class NoisyJobSerializer(WrittenSerializer):
    id = serializers.UUIDField()
    name = serializers.CharField()


class LogStatsSerializer(serializers.Serializer[Any]):
    lines = serializers.IntegerField()
    bytes = serializers.IntegerField()
    kept_bytes = serializers.IntegerField()
    projects = ProjectLogsSerializer(many=True)
    noisiest = NoisyJobSerializer(many=True, help_text="The ten that wrote most.")


class StatsSerializer(serializers.Serializer[Any]):
    window = WindowSerializer()
    queue = QueueSerializer()
    throughput = ThroughputSerializer()
    wait_seconds = PercentilesSerializer()
    run_seconds = PercentilesSerializer()
    verdicts = serializers.DictField(child=serializers.IntegerField(), help_text="By code, the most frequent first.")
    logs = LogStatsSerializer()


class Stats(APIView):
    @extend_schema(
        parameters=[OpenApiParameter("window", str, description=f"Like 30m, 24h, 7d, 2w; {DEFAULT} when left out.")],
        responses={200: StatsSerializer, 400: OpenApiResponse(ProblemSerializer)},
    )
    def get(self, request: Request) -> Response:
        """Queue, throughput, waits, verdicts and output over a window of time, of the jobs that the caller may see."""
        errors = {name: ["unknown: only window is known here"] for name in request.query_params if name != "window"}
        if errors:
            raise ValidationError(errors)
        try:
            within = window(request.query_params.get("window", DEFAULT))
        except ValueError as error:
            raise ValidationError({"window": [str(error)]}) from error
        return Response(StatsSerializer(figures(within, acting_user(request))).data)
