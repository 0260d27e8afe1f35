"""The page that says how the trace store fares; the figures are `tracing.health`'s."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import AdminSite
from django.db import DatabaseError, transaction
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from tracing.health import health
from tracing.models import Span
from tracing.switches import switches

from . import missing


def health_page(request: HttpRequest, site: AdminSite) -> HttpResponse:
    """Also without a table: then it says so, and what is switched on."""
    shown: dict[str, Any] = {"switches": switches()}
    try:
        with transaction.atomic():
            shown["health"] = health()
    except DatabaseError as error:
        shown["missing"] = missing.unreadable(error)
    context = {**site.each_context(request), "title": "Trace store", "opts": Span._meta, **shown}
    request.current_app = site.name
    return TemplateResponse(request, "towline/trace_health.html", context)
