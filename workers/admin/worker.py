"""Workers: what each is now by its heartbeat, what it reaches and runs, and draining it."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from jobs.admin.base import LookOnly
from jobs.admin.shown import DASH, ago, badge, moment, page, shortened, span
from jobs.models import Attempt
from jobs.quantities import human_bytes
from workers import services
from workers.models import Worker
from workers.overview import with_used

RUNNING_MOST = 200


@admin.register(Worker)
class WorkerAdmin(LookOnly[Worker]):
    change_form_template = "towline/worker.html"
    list_display = ("shown_state", "name", "slots_used", "shown_runtimes", "capacity_shown", "where", "heartbeat")
    list_display_links = ("name",)
    search_fields = ("name", "host")
    ordering = ("name",)
    sortable_by = ("name",)
    actions = ("drain", "resume")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Worker]:
        return with_used(Worker.objects.with_clock()).order_by("name")

    def get_urls(self) -> list[URLPattern]:
        named = path("named/<path:name>/", self.admin_site.admin_view(self.named), name="workers_worker_named")
        return [named, *super().get_urls()]

    def named(self, request: HttpRequest, name: str) -> HttpResponse:
        """To the page of the worker of that name: attempts know their workers by name."""
        worker = get_object_or_404(Worker, name=unquote(name))
        return HttpResponseRedirect(page("workers_worker_change", worker.pk))

    # --- the list -------------------------------------------------------------------------------------------------

    @admin.display(description="state")
    def shown_state(self, worker: Worker) -> SafeString:
        return badge(worker.state)

    @admin.display(description="slots used")
    def slots_used(self, worker: Any) -> SafeString:
        return format_html(
            '<meter min="0" max="{}" value="{}" aria-label="Slots used"></meter> {} of {}',
            worker.slots,
            worker.used,
            worker.used,
            worker.slots,
        )

    @admin.display(description="runtimes")
    def shown_runtimes(self, worker: Worker) -> str:
        return ", ".join(worker.runtimes) or DASH

    @admin.display(description="capacity")
    def capacity_shown(self, worker: Worker) -> str:
        most = worker.capacity
        return f"{most['cpus']:g} cpus, {human_bytes(most['memory_bytes'])}, {most['gpus']} gpus"

    @admin.display(description="region and labels")
    def where(self, worker: Worker) -> SafeString | str:
        labels = [(f"{key}={value}",) for key, value in worker.labels.items()][:10]
        return format_html("{} {}", worker.region, format_html_join(" ", '<span class="tag">{}</span>', labels))

    @admin.display(description="heartbeat")
    def heartbeat(self, worker: Worker) -> SafeString | str:
        return ago(worker.last_heartbeat_at)

    # --- its page -------------------------------------------------------------------------------------------------

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        worker: Worker = context["original"]
        context |= {
            "title": worker.name,
            "subtitle": None,
            "worker": worker,
            "running": worker.running.select_related("job").defer("job__spec", "job__verdict")[:RUNNING_MOST],
            "lately": Attempt.objects.filter(worker=worker.name).select_related("job").defer("job__spec")[:20],
            "facts": [
                ("host", shortened(worker.host, 100)),
                ("process", worker.pid),
                ("version", worker.version),
                ("region", worker.region or DASH),
                ("started", moment(worker.started_at)),
                ("last heartbeat", ago(worker.last_heartbeat_at)),
                ("stopped", moment(worker.stopped_at)),
                ("suspect since", moment(worker.suspect_since)),
                ("up for", span(worker.last_heartbeat_at - worker.started_at)),
            ],
        }
        return super().render_change_form(request, context, *args, **kwargs)

    # --- draining -------------------------------------------------------------------------------------------------

    def has_drain_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("workers.change_worker")

    @admin.action(description="Drain: give it no more jobs", permissions=["drain"])
    def drain(self, request: HttpRequest, queryset: QuerySet[Worker]) -> None:
        changed = sum(services.drain(worker, request.user.get_username()) for worker in queryset)
        messages.success(request, f"{changed} workers get no more jobs; what they run goes on to its end.")

    @admin.action(description="Resume: give it jobs again", permissions=["drain"])
    def resume(self, request: HttpRequest, queryset: QuerySet[Worker]) -> None:
        changed = sum(services.resume(worker, request.user.get_username()) for worker in queryset)
        messages.success(request, f"{changed} workers get jobs again.")
