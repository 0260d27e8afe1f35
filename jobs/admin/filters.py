"""What lists of jobs can be narrowed down by."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest

from jobs.models import WAITING_REASONS, Attempt, Job
from jobs.spec import RUNTIMES
from jobs.states import FINAL_JOB, JobState
from jobs.verdicts import CODES, KIND_OF

_KIND = "kind:"


class StateFilter(admin.SimpleListFilter):
    title = "state"
    parameter_name = "state"
    active = "active"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(self.active, "not over yet"), *((state.value, state.value) for state in JobState)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Job]) -> QuerySet[Job]:
        if self.value() == self.active:
            return queryset.filter(state__in=set(JobState) - FINAL_JOB)
        return queryset.filter(state=self.value()) if self.value() else queryset


class RuntimeFilter(admin.SimpleListFilter):
    """Where it ran, or where it is to run."""

    title = "runtime"
    parameter_name = "runtime"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in RUNTIMES]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Job]) -> QuerySet[Job]:
        if not self.value():
            return queryset
        ran = Attempt.objects.filter(job=OuterRef("pk"), runtime=self.value())
        return queryset.filter(Q(runtime=self.value()) | Exists(ran))


class WaitingFilter(admin.SimpleListFilter):
    title = "waiting for"
    parameter_name = "waiting"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(reason, reason) for reason in WAITING_REASONS]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Job]) -> QuerySet[Job]:
        if not self.value():
            return queryset
        return queryset.filter(state__in=[JobState.QUEUED, JobState.ASSIGNED], waiting_reason=self.value())


class VerdictFilter(admin.SimpleListFilter):
    """A kind (who has to act), and within it a code. Known ones: asking the table for them would read all of it."""

    title = "verdict"
    parameter_name = "verdict"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        chosen = request.GET.get(self.parameter_name, "")
        choices: list[tuple[str, str]] = []
        for kind, codes in CODES.items():
            choices.append((_KIND + kind, kind))
            if chosen == _KIND + kind or chosen in codes:
                choices += [(code, f"› {code}") for code in codes]
        return choices

    def queryset(self, request: HttpRequest, queryset: QuerySet[Job]) -> QuerySet[Job]:
        chosen = self.value()
        if not chosen:
            return queryset
        if not chosen.startswith(_KIND):
            return queryset.filter(verdict_code=chosen)
        return queryset.filter(
            verdict_code__in=[code for code in KIND_OF if KIND_OF[code] == chosen.removeprefix(_KIND)]
        )
