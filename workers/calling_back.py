"""What a container is told of the platform: its place in the trace, where its own spans go, and what it proves itself with.

Nothing of it is kept: whoever adopts the attempt knows the same from its row and the settings.
"""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import quote, urlsplit

from django.conf import settings

from jobs import traced
from jobs.models import Attempt
from jobs.tokens import token_of, tokens_of
from tracing.identity import Parent

from .container import Told

OTLP_PATH = "/api/v1/otlp"
OTLP = "OTEL_EXPORTER_OTLP_"
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def told(attempt: Attempt, network: str, taken: Collection[str]) -> Told:
    """`taken`: variables that the job sets itself. One that has an OTLP exporter of its own gets no part of ours, least of all
    our token, which would go there.
    """
    offered = {"TRACEPARENT": str(place)} if (place := place_of(attempt)) else {}
    if not (url := service_url(attempt.runtime, network)):
        return Told(offered=offered)
    token = token_of(attempt)
    own = {"TOWLINE_URI": url, "TOWLINE_TASK_ID": str(attempt.job_id), "TOWLINE_TOKEN": token}
    if not any(name.startswith(OTLP) for name in taken):
        offered |= {
            f"{OTLP}ENDPOINT": url + OTLP_PATH,
            f"{OTLP}PROTOCOL": "http/protobuf",
            f"{OTLP}HEADERS": f"authorization={quote(f'Bearer {token}')}",
        }
    return Told(own, offered, frozenset({"TOWLINE_TOKEN", f"{OTLP}HEADERS"} & {*own, *offered}))


def masked(attempt: Attempt, network: str) -> list[str]:
    """What of it must not be seen in the output."""
    known = service_url(attempt.runtime, network) or attempt.job.traceparent  # it may have been told before a restart
    return tokens_of(attempt) if known else []


def place_of(attempt: Attempt) -> Parent | None:
    """The span that the program's own spans hang below. None: its job is not traced, or tracing is off here."""
    return traced.place_of_container(attempt) if settings.TOWLINE.traces else None


def service_url(runtime: str, network: str) -> str:
    """Where the platform is for containers of a runtime; empty where that is not known, can't be reached, or nobody is to call.

    This host's loopback address is the host itself to a plain process alone.
    """
    wanted = settings.TOWLINE
    if not wanted.takes_spans or network == "none":
        return ""
    own = {"kubernetes": wanted.TOWLINE_KUBERNETES_SERVICE_URL, "docker": wanted.TOWLINE_DOCKER_SERVICE_URL}
    url = str(own.get(runtime) or wanted.TOWLINE_SERVICE_URL or "").rstrip("/")
    return "" if runtime != "process" and urlsplit(url).hostname in LOOPBACK else url
