"""Django's admin as Towline's: its name, its first page, and what every page's header links to."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest
from django.template.response import TemplateResponse

from jobs.models import installation_key
from jobs.overview import jobs_overview
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

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        shown: dict[str, Any] = {"installation": installation_key()}
        if request.user.has_perm("jobs.view_job"):
            shown["overview"] = jobs_overview()
        if request.user.has_perm("workers.view_worker"):
            shown["workers"] = workers_overview()
        return super().index(request, {**shown, **(extra_context or {})})
