"""Every address of the web process."""

from __future__ import annotations

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path
from django.views.generic import RedirectView

from jobs.api import otlp, problems

from . import health, metrics, schema

api: list[URLPattern | URLResolver] = [
    path("", include("jobs.api.urls")),
    path("", include("workers.api.urls")),
    path("schema/", schema.openapi, name="schema"),
    path("docs/", schema.Docs.as_view(), name="docs"),
]

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("api/v1/", include((api, "api"))),
    path("v1/traces", otlp.Traces.as_view(schema=None)),  # where exporters send that are told no more than the host
    path("healthz/live", health.live),
    path("healthz/ready", health.ready),
    path("healthz/serving", health.serving),
    path("metrics", metrics.metrics),
    path("admin", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/", admin.site.urls),
]


handler400 = problems.bad_request
handler404 = problems.not_found
handler500 = problems.server_error
