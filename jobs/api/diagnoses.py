"""What was wrong with an attempt, and what was like it, over REST."""

from __future__ import annotations

from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from jobs.traces.answers import attempt_of
from jobs.traces.diagnosis import diagnosis, examine
from jobs.traces.likeness import similar

from .trace_serializers import AttemptAskedSerializer, DiagnosisSerializer, SimilarAskedSerializer, SimilarSerializer
from .traces import PROBLEMS, AsksTraces, asked


class JobDiagnosis(AsksTraces):
    @extend_schema(parameters=[AttemptAskedSerializer], responses={200: DiagnosisSerializer, **PROBLEMS})
    def get(self, request: Request, pk: UUID) -> Response:
        """What was unusual in an attempt, and why it failed: null where it did not."""
        job, given = self.job(), asked(request, AttemptAskedSerializer)
        attempt = attempt_of(job, given.get("attempt"))
        return Response(DiagnosisSerializer(diagnosis(job, attempt, examine(job, attempt))).data)


class JobSimilar(AsksTraces):
    @extend_schema(parameters=[SimilarAskedSerializer], responses={200: SimilarSerializer, **PROBLEMS})
    def get(self, request: Request, pk: UUID) -> Response:
        """Runs that did the same in the same order and failed alike, the most similar first."""
        job, given = self.job(), asked(request, SimilarAskedSerializer)
        found = similar(job, attempt_of(job, given.get("attempt")), given["limit"], self.sight)
        return Response(SimilarSerializer(found).data)
