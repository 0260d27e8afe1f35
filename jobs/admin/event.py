"""Events: the ledger behind every job's time-line."""

from __future__ import annotations

from django.contrib import admin
from django.utils.safestring import SafeString

from jobs.models import Event

from .base import LookOnly
from .shown import DASH, link, moment, page, pretty, shortened


@admin.register(Event)
class EventAdmin(LookOnly[Event]):
    list_display = ("at", "kind", "of_job", "of_attempt", "actor", "told")
    list_display_links = ("kind",)
    list_select_related = ("job", "attempt")
    search_fields = ("^job__id", "=kind")
    search_help_text = "By the id of the job, or a kind in full"
    ordering = ("-id",)
    sortable_by = ()
    fields = ("at", "kind", "of_job", "of_attempt", "actor", "all_told")
    readonly_fields = fields

    @admin.display(description="at")
    def at(self, event: Event) -> SafeString | str:
        return moment(event.created_at)

    @admin.display(description="job")
    def of_job(self, event: Event) -> SafeString:
        return link(page("jobs_job_change", event.job_id), shortened(str(event.job), 60))

    @admin.display(description="attempt")
    def of_attempt(self, event: Event) -> SafeString | str:
        if event.attempt is None:
            return DASH
        return link(page("jobs_attempt_change", event.attempt_id), event.attempt.number)

    @admin.display(description="what")
    def told(self, event: Event) -> str:
        return pretty(event.data, 120) if event.data else DASH

    @admin.display(description="what")
    def all_told(self, event: Event) -> str:
        return pretty(event.data)
