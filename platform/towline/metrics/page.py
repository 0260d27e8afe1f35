"""The answer, in Prometheus' own words or, for who asks for that, as OpenMetrics: there with exemplars."""

from __future__ import annotations

from collections.abc import Iterator

from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.exposition import choose_encoder

from tracing.health import totals

from .attempts import Ended
from .gauges import gauges
from .happenings import Happenings
from .settled import Budget

_happenings = Happenings()
_ended = Ended()


def metrics(request: HttpRequest) -> HttpResponse:
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Figures())
    try:
        body = encode(registry)
    except DatabaseError as error:
        text = f"# the database does not answer: {type(error).__name__}\n"
        return HttpResponse(text, status=503, content_type="text/plain; charset=utf-8")
    return HttpResponse(body, content_type=content_type)


class _Figures:
    def collect(self) -> Iterator[Metric]:
        yield from gauges()
        budget = Budget()
        yield from _happenings.families(budget)
        yield from _ended.families(budget)
        yield from _spans()


def _spans() -> Iterator[Metric]:
    written, dropped = totals()
    yield CounterMetricFamily("towline_spans_written", "Spans in the trace store, when they closed.", value=written)
    yield CounterMetricFamily(
        "towline_spans_dropped", "Records of spans that found no room, or no table.", value=dropped
    )
