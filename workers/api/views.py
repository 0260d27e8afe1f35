"""Workers over REST."""

from __future__ import annotations

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import generics
from rest_framework.permissions import IsAdminUser
from rest_framework.request import Request
from rest_framework.response import Response

from jobs.api.filters import NewestFirst
from jobs.api.views import acting_user
from workers import services
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


class OneWorker(generics.GenericAPIView[Worker]):
    """What staff may do with a worker, by its name."""

    serializer_class = WorkerSerializer
    permission_classes = [IsAdminUser]
    lookup_field = "name"
    queryset = Worker.objects.none()

    def get_queryset(self) -> QuerySet[Worker]:
        return Worker.objects.with_clock()


class WorkerDrain(OneWorker):
    @extend_schema(request=None)
    def post(self, request: Request, name: str) -> Response:
        """Let it run to their ends the jobs it has, and take no new ones."""
        services.drain(self.get_object(), acting_user(request).get_username())
        return Response(self.get_serializer(self.get_object()).data)


class WorkerResume(OneWorker):
    @extend_schema(request=None)
    def post(self, request: Request, name: str) -> Response:
        """Let it take jobs again."""
        services.resume(self.get_object(), acting_user(request).get_username())
        return Response(self.get_serializer(self.get_object()).data)
