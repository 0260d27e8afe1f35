"""Which jobs a list shows, and how long lists are paged."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import django_filters
from django.core.exceptions import ValidationError
from django.db import DataError
from django.db.models import Q
from django.db.models.fields.json import KeyTransform
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework.exceptions import NotFound, ParseError
from rest_framework.exceptions import ValidationError as DRFValidationError
from rest_framework.filters import OrderingFilter
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request

from jobs.models import Job, JobQuerySet
from jobs.spec import FIRST_YEAR, LAST_YEAR, RUNTIMES
from jobs.states import JobState
from jobs.verdicts import KIND_OF


class NewestFirst(CursorPagination):
    ordering = ("-created_at", "-id")
    page_size = 50
    page_size_query_param = "limit"
    max_page_size = 500
    cursor_query_param = "cursor"

    def get_page_size(self, request: Request) -> int | None:
        asked = request.query_params.get(self.page_size_query_param)
        if asked is not None and not re.fullmatch(r"[1-9]\d{0,5}", asked, re.ASCII):
            raise DRFValidationError({"limit": [f"must be a whole number from 1 to {self.max_page_size}"]})
        return super().get_page_size(request)

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> Any:
        try:
            return super().paginate_queryset(queryset, request, view)
        except (ValidationError, ValueError, DataError) as error:
            if self.cursor_query_param not in request.query_params:
                raise
            # It decodes, and holds a position that is no value of the field.
            raise NotFound(self.invalid_cursor_message) from error


class OldestFirst(NewestFirst):
    ordering = ("id",)  # type: ignore[assignment]


class MomentFilter(django_filters.IsoDateTimeFilter):
    """A time that stays one when it is turned to UTC."""

    def filter(self, qs: Any, value: Any) -> Any:
        if value is not None and not FIRST_YEAR <= value.year <= LAST_YEAR:
            raise ParseError(f"{self.label or self.field_name}: the year is between {FIRST_YEAR} and {LAST_YEAR}")
        return super().filter(qs, value)


class JobFilter(django_filters.FilterSet):
    """`label=k:v` may be given several times: all must match. `q` looks into name, image and id."""

    state = django_filters.MultipleChoiceFilter(choices=JobState.choices)
    project = django_filters.CharFilter(field_name="project__name")
    name = django_filters.CharFilter(field_name="name")
    label = django_filters.CharFilter(method="with_labels")
    runtime = django_filters.ChoiceFilter(choices=[(name, name) for name in RUNTIMES], method="on_runtime")
    worker = django_filters.CharFilter(method="on_worker")
    verdict = django_filters.ChoiceFilter(choices=[(code, code) for code in KIND_OF], field_name="verdict_code")
    created_after = MomentFilter(field_name="created_at", lookup_expr="gte")
    created_before = MomentFilter(field_name="created_at", lookup_expr="lt")
    q = django_filters.CharFilter(method="search")

    class Meta:
        model = Job
        fields: list[str] = []

    def with_labels(self, jobs: JobQuerySet, name: str, value: str) -> JobQuerySet:
        asked: Any = self.data  # a QueryDict: of the request, or of the command's options
        for number, pair in enumerate(asked.getlist("label")):
            key, colon, text = pair.partition(":")
            if not colon or "\0" in pair:
                raise ParseError("label: write it as label=key:value")
            # The key as an argument, not in a keyword: it may hold what a lookup is spelled with.
            jobs = jobs.alias(**{f"label_{number}": KeyTransform(key, "labels")}).filter(**{f"label_{number}": text})
        return jobs

    def on_runtime(self, jobs: JobQuerySet, name: str, value: str) -> JobQuerySet:
        return jobs.filter(Q(attempts__runtime=value) | Q(runtime=value)).distinct()

    def on_worker(self, jobs: JobQuerySet, name: str, value: str) -> JobQuerySet:
        return jobs.filter(attempts__worker=value).distinct()

    def search(self, jobs: JobQuerySet, name: str, value: str) -> JobQuerySet:
        return jobs.filter(Q(name__icontains=value) | Q(image__icontains=value) | Q(pk__startswith=value.lower()))


class KnownOrdering(OrderingFilter):
    """DRF's, but a field that can't be ordered by is an error rather than ignored."""

    def remove_invalid_fields(self, queryset: Any, fields: Iterable[str], view: Any, request: Request) -> list[str]:
        valid = super().remove_invalid_fields(queryset, fields, view, request)
        if unknown := [field for field in fields if field not in valid]:
            raise ParseError(f"ordering: unknown {', '.join(unknown)}: choose from {', '.join(view.ordering_fields)}")
        return [*valid, "-id" if valid[0].startswith("-") else "id"]


class KnownFilters(DjangoFilterBackend):
    """django-filter's, but a parameter nobody reads is an error rather than ignored. `beside`: those that the view reads."""

    beside = frozenset({"limit", "cursor", "ordering"})

    def filter_queryset(
        self,
        request: Request,  # type: ignore[override]  # DRF's request is what views get
        queryset: Any,
        view: Any,
    ) -> Any:
        known = {*view.filterset_class.base_filters, *self.beside}
        if unknown := set(request.query_params) - known:
            raise ParseError(f"unknown filter {', '.join(sorted(unknown))}: choose from {', '.join(sorted(known))}")
        return super().filter_queryset(request, queryset, view)
