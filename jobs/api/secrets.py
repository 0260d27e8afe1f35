"""Secrets over REST: made, replaced, listed and deleted. No answer holds a value."""

from __future__ import annotations

from typing import Annotated, Any

import django_filters
from drf_spectacular.utils import OpenApiResponse, extend_schema
from pydantic import BaseModel, ConfigDict, Field
from rest_framework import generics, serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from jobs.models import Project, Secret
from jobs.models.secret import SecretQuerySet
from jobs.secrets import keeping
from jobs.secrets.references import Name
from jobs.secrets.values import Value
from jobs.services import Rejected

from .filters import KnownFilters, NewestFirst
from .parsing import json_object
from .serializers import ProblemSerializer
from .views import acting_user

PROBLEM = OpenApiResponse(ProblemSerializer, description="A problem document.")
PROJECT = Annotated[str, Field(max_length=63)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


class NewSecret(_Strict):
    """`value`: text of 1 to 65536 bytes, without NUL. It can't be read back."""

    name: Name
    project: PROJECT = "default"
    value: Annotated[Value, Field(strict=False)]


class NewValue(_Strict):
    """Only the value changes. `name` and `project` may be sent along, as they are."""

    name: Name | None = None
    project: PROJECT | None = None
    value: Annotated[Value, Field(strict=False)]


class SecretSerializer(serializers.ModelSerializer[Secret]):
    """`masked` is false when the value is too short to be masked in output."""

    project = serializers.CharField(source="project.name", read_only=True)
    created_by = serializers.CharField(source="created_by.username", default=None, read_only=True, allow_null=True)

    class Meta:
        model = Secret
        fields = ("id", "project", "name", "masked", "created_by", "created_at", "updated_at", "last_used_at")


class SecretFilter(django_filters.FilterSet):
    project = django_filters.CharFilter(field_name="project__name")
    name = django_filters.CharFilter(field_name="name")

    class Meta:
        model = Secret
        fields: list[str] = []


class VisibleSecrets(generics.GenericAPIView[Secret]):
    """Those of the projects that the caller may submit to; all others do not exist for them."""

    queryset = Secret.objects.all()
    serializer_class = SecretSerializer

    def get_queryset(self) -> SecretQuerySet:
        if getattr(self, "swagger_fake_view", False):
            return Secret.objects.none()
        return Secret.objects.visible_to(self.request.user).select_related("project", "created_by").defer("sealed")


class Secrets(VisibleSecrets, generics.ListAPIView[Secret]):
    pagination_class = NewestFirst
    filter_backends = [KnownFilters]
    filterset_class = SecretFilter

    @extend_schema(request=NewSecret, responses={201: SecretSerializer, 400: PROBLEM, 409: PROBLEM})
    def post(self, request: Request) -> Response:
        """Make a secret. 409 if the project has one of this name."""
        wanted = NewSecret.model_validate(json_object(request))
        user = acting_user(request)
        project = Project.objects.open_to(user).filter(name=wanted.project).first()
        if project is None:
            raise Rejected(
                {"project": [f"no project {wanted.project!r} that you may use: ask for one, or leave it out"]}
            )
        secret = keeping.make(project, wanted.name, wanted.value, user)
        return Response(self.get_serializer(self.get_queryset().get(pk=secret.pk)).data, status.HTTP_201_CREATED)


class SecretDetail(VisibleSecrets, generics.RetrieveDestroyAPIView[Secret]):
    @extend_schema(request=NewValue, responses={200: SecretSerializer, 400: PROBLEM})
    def put(self, request: Request, pk: int) -> Response:
        """Replace its value. Attempts that run keep what they were given."""
        secret = self.get_object()
        wanted = NewValue.model_validate(json_object(request))
        _check_unchanged(secret, wanted)
        keeping.replace(secret, wanted.value)
        return Response(self.get_serializer(self.get_object()).data)

    @extend_schema(request=NewValue, responses={200: SecretSerializer, 400: PROBLEM})
    def patch(self, request: Request, pk: int) -> Response:
        """The same as PUT: there is nothing else to change."""
        return self.put(request, pk)


def _check_unchanged(secret: Secret, wanted: NewValue) -> None:
    known: dict[str, Any] = {"name": secret.name, "project": secret.project.name}
    told = wanted.model_dump(include={"name", "project"}, exclude_none=True)
    if changed := [field for field, text in told.items() if text != known[field]]:
        raise Rejected({field: ["never changes: make another secret, and delete this one"] for field in changed})
