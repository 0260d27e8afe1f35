"""Workers over REST."""

from __future__ import annotations

from django.db.models import QuerySet
from rest_framework import generics

from jobs.api.filters import NewestFirst
from workers.models import Worker

from .serializers import WorkerSerializer


class ByName(NewestFirst):
    ordering = ("name",)  # type: ignore[assignment]


class Workers(generics.ListAPIView[Worker]):
    """All workers ever registered, with what they are now."""

    serializer_class = WorkerSerializer
    pagination_class = ByName
    filter_backends = []
    queryset = Worker.objects.none()

    def get_queryset(self) -> QuerySet[Worker]:
        return Worker.objects.with_clock()
