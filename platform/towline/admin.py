"""Django's admin as Towline's: its name, its first page, and what every page's header links to."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.urls import URLPattern, URLResolver, path

from jobs.models import installation_key
from jobs.overview import jobs_overview
from jobs.statistics.picture import statistics_shown
from workers.overview import workers_overview


class Site(admin.AdminSite):
    site_header = "Towline"
    site_title = "Towline"
    index_title = "Overview"
    site_url = None

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        return {
            **super().each_context(request),
            "flower_url": settings.TOWLINE.TOWLINE_FLOWER_URL,
            "may_see_jobs": request.user.has_perm("jobs.view_job"),
            "may_see_workers": request.user.has_perm("workers.view_worker"),
            "may_submit": request.user.has_perm("jobs.add_job"),
        }

    def get_urls(self) -> list[URLPattern | URLResolver]:
        return [path("statistics/", self.admin_view(self.statistics), name="statistics"), *super().get_urls()]

    def statistics(self, request: HttpRequest) -> TemplateResponse:
        """Figures over a window of time, `?window=24h`; of all jobs, as whoever may view them here sees all."""
        if not request.user.has_perm("jobs.view_job"):
            raise PermissionDenied
        shown = {**self.each_context(request), "title": "Statistics", **statistics_shown(request.GET.get("window"))}
        request.current_app = self.name
        return TemplateResponse(request, "admin/statistics.html", shown)

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        shown: dict[str, Any] = {"installation": installation_key()}
        if request.user.has_perm("jobs.view_job"):
            shown["overview"] = jobs_overview()
        if request.user.has_perm("workers.view_worker"):
            shown["workers"] = workers_overview()
        return super().index(request, {**shown, **(extra_context or {})})
