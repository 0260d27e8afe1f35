"""Projects: the one table of jobs' that is edited by hand."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Count, IntegerField, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.utils.safestring import SafeString

from jobs.models import Job, Project
from jobs.states import FINAL_JOB, JobState

from .base import ModelAdmin
from .shown import ago, link, page


@admin.register(Project)
class ProjectAdmin(ModelAdmin[Project]):
    list_display = ("name", "members_count", "active", "jobs", "age")
    search_fields = ("name",)
    ordering = ("name",)
    fields = ("name", "members", "log_keep_days", "log_keep_days_failed", "log_keep_bytes")
    filter_horizontal = ("members",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Project]:
        under_way = Job.objects.filter(project=OuterRef("pk"), state__in=set(JobState) - FINAL_JOB).order_by()
        counted = under_way.values("project").annotate(n=Count("pk")).values("n")
        return (
            super()
            .get_queryset(request)
            .annotate(
                active_jobs=Coalesce(Subquery(counted, output_field=IntegerField()), 0),
                people=Count("members"),
            )
        )

    @admin.display(description="members", ordering="people")
    def members_count(self, project: Project) -> str:
        people: int = project.people  # type: ignore[attr-defined]  # annotated
        return str(people) if people else "open to all"

    @admin.display(description="not over yet", ordering="active_jobs")
    def active(self, project: Project) -> int:
        return project.active_jobs  # type: ignore[attr-defined, no-any-return]  # annotated

    @admin.display(description="jobs")
    def jobs(self, project: Project) -> SafeString:
        return link(f"{page('jobs_job_changelist')}?project__id__exact={project.pk}", "Show its jobs")

    @admin.display(description="age", ordering="created_at")
    def age(self, project: Project) -> SafeString | str:
        return ago(project.created_at)
