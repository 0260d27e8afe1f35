"""The OpenAPI schema: a checked file (`openapi.json`, made by `make docs`), and its docs page without a CDN.

Built ahead because the generator is not thread-safe: several first requests at once would get a 500.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from django.http import HttpRequest, HttpResponse
from drf_spectacular.views import SpectacularSwaggerSplitView
from rest_framework.permissions import AllowAny

OPENAPI = Path(__file__).with_name("openapi.json")


@cache
def _document() -> bytes:
    return OPENAPI.read_bytes()


def openapi(request: HttpRequest) -> HttpResponse:
    return HttpResponse(_document(), content_type="application/vnd.oai.openapi+json")


class Docs(SpectacularSwaggerSplitView):
    """Swagger with its script in a file of its own, so that the strict content security policy holds."""

    template_name = "towline/docs.html"
    url_name = "api:schema"
    permission_classes = [AllowAny]
