"""Jobs: the list, a job's page, submitting, cancelling and trying again."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from jobs.exporting.attachment import attachment
from jobs.models import Attempt, Job
from jobs.states import JobState
from jobs.waiting import waiting

from . import again, cancelling, searching, timeline
from .base import LookOnly
from .facts import facts
from .filters import RuntimeFilter, StateFilter, VerdictFilter, WaitingFilter
from .shown import DASH, ago, badge, link, page, ran_for, shortened
from .submitting import SubmitForm, fieldsets, filled_in
from .traces.page import trace_page

EVENTS_MOST = 500


@admin.register(Job)
class JobAdmin(LookOnly[Job]):
    change_form_template = "towline/job.html"
    list_display = ("shown_state", "what", "whose", "place", "age")
    list_display_links = None
    list_filter = (
        StateFilter,
        WaitingFilter,
        "project",
        RuntimeFilter,
        VerdictFilter,
    )
    list_select_related = ("project", "owner")
    search_fields = ("^id", "name", "image")
    search_help_text = "By id (its beginning), name or image"
    ordering = ("-created_at", "-id")
    sortable_by = ("age",)
    actions = ("cancel_jobs", "retry_jobs", "export_jobs")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Job]:
        newest = Attempt.objects.filter(job=OuterRef("pk"), number=OuterRef("attempts_count"))
        # A spec may hold a megabyte: lists do without.
        return (
            super()
            .get_queryset(request)
            .defer("spec", "verdict", "labels")
            .annotate(
                worker=Subquery(newest.values("worker")[:1]), attempt_runtime=Subquery(newest.values("runtime")[:1])
            )
        )

    def get_urls(self) -> list[URLPattern]:
        ours = [
            path("logs/", self.admin_site.admin_view(self.search_view), name="jobs_job_search"),
            path("<uuid:pk>/trace/", self.admin_site.admin_view(self.trace_view), name="jobs_job_trace"),
            path("<uuid:pk>/cancel/", self.admin_site.admin_view(self.cancel_view), name="jobs_job_cancel"),
            path("<uuid:pk>/retry/", self.admin_site.admin_view(self.retry_view), name="jobs_job_retry"),
        ]
        return [*ours, *super().get_urls()]

    # --- who may what ---------------------------------------------------------------------------------------------

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("jobs.add_job")

    def has_cancel_permission(self, request: HttpRequest) -> bool:
        return cancelling.may_cancel(request)

    # --- the list -------------------------------------------------------------------------------------------------

    @admin.display(description="state, why")
    def shown_state(self, job: Job) -> SafeString:
        return format_html('{}<span class="small why">{}</span>', badge(job.state), self._why(job))

    def _why(self, job: Job) -> SafeString | str:
        if job.state == JobState.QUEUED or job.waiting_reason:
            return format_html('<span title="{}">{}</span>', job.waiting_detail, job.waiting_reason or "not yet seen")
        if job.verdict_code:
            return format_html('<code class="code">{}</code>', job.verdict_code)
        return "being cancelled" if job.cancel_requested_at and not job.is_final else ""

    @admin.display(description="job")
    def what(self, job: Job) -> SafeString:
        return format_html(
            '<a class="job-name" href="{}">{}</a><span class="image">{}</span>',
            page("jobs_job_change", job.pk),
            shortened(job.name, 60) or str(job.pk),
            shortened(job.image, 80),
        )

    @admin.display(description="project, owner")
    def whose(self, job: Job) -> SafeString:
        its = f"{page('jobs_job_changelist')}?project__id__exact={job.project_id}"
        return format_html('{}<span class="small">{}</span>', link(its, job.project.name), job.owner or DASH)

    @admin.display(description="worker, runtime")
    def place(self, job: Job) -> SafeString | str:
        worker: str | None = job.worker  # type: ignore[attr-defined]  # annotated
        if not worker:
            return job.runtime or DASH
        runtime: str = job.attempt_runtime  # type: ignore[attr-defined]  # annotated
        return format_html(
            '{}<span class="small">{}</span>', link(page("workers_worker_named", worker), worker), runtime
        )

    @admin.display(description="age", ordering="created_at")
    def age(self, job: Job) -> SafeString:
        ran = f"ran {ran_for(job)}" if job.started_at else ""
        return format_html('{}<span class="small">{}</span>', ago(job.created_at), ran)

    # --- a job's page ---------------------------------------------------------------------------------------------

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        job: Job = context["original"]
        attempts = list(job.attempts.order_by("number"))
        events = list(job.events.select_related("attempt")[:EVENTS_MOST])
        context |= {
            "title": job.name or "Job",
            "subtitle": None,
            "job": job,
            "attempts": attempts[::-1],
            "attempt": attempts[-1] if attempts else None,
            "logged": _asked_for(request, attempts),
            "waiting": waiting(job),
            "steps": timeline.steps(job, events),
            "steps_left_out": len(events) == EVENTS_MOST,
            "bars": timeline.bars(job, attempts, timezone.now()),
            "facts": facts(job.spec),
            "may_cancel": self.has_cancel_permission(request) and not job.is_final,
            "may_retry": self.has_cancel_permission(request) and job.state in (JobState.FAILED, JobState.CANCELLED),
            "may_submit": self.has_add_permission(request),
        }
        return super().render_change_form(request, context, *args, **kwargs)

    # --- submitting -----------------------------------------------------------------------------------------------

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = SubmitForm(request.user, request.POST or None, initial=self._initial(request))  # type: ignore[arg-type]
        if request.method == "POST" and form.is_valid() and (job := form.submit()):
            messages.success(request, f"{job} is submitted.")
            return HttpResponseRedirect(page("jobs_job_change", job.pk))
        context = {
            **self.admin_site.each_context(request),
            "title": "Submit a job",
            "opts": self.opts,
            "adminform": fieldsets(form),
            "form": form,
            "has_view_permission": self.has_view_permission(request),
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "towline/submit.html", context)

    def _initial(self, request: HttpRequest) -> dict[str, Any]:
        """The values of the job named by `?again=`."""
        try:
            wanted = UUID(request.GET.get("again", ""))
        except ValueError:
            return {}
        job = Job.objects.filter(pk=wanted).first() if self.has_view_permission(request) else None
        return filled_in(job.spec) if job else {}

    # --- searching logs -----------------------------------------------------------------------------------------------

    def search_view(self, request: HttpRequest) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        return searching.search_page(request, self.admin_site)

    # --- its trace ----------------------------------------------------------------------------------------------------

    def trace_view(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        job = get_object_or_404(Job, pk=pk)
        return trace_page(request, self.admin_site, job.trace_id, job)

    # --- cancelling -----------------------------------------------------------------------------------------------

    @admin.action(description="Cancel the chosen jobs", permissions=["cancel"])
    def cancel_jobs(self, request: HttpRequest, queryset: QuerySet[Job]) -> HttpResponse | None:
        jobs = list(queryset)
        if request.POST.get("confirmed"):
            cancelling.cancel_and_tell(request, jobs)
            return None
        back = page("jobs_job_changelist")
        return cancelling.ask_first(request, self.admin_site, jobs, action="cancel_jobs", chosen=jobs, back=back)

    def cancel_view(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        if not self.has_cancel_permission(request):
            raise PermissionDenied
        if not self.has_view_permission(request):
            raise Http404
        job = get_object_or_404(Job, pk=pk)
        its_page = page("jobs_job_change", pk)
        if request.method != "POST":
            return cancelling.ask_first(request, self.admin_site, [job], back=its_page)
        cancelling.cancel_and_tell(request, [job])
        return HttpResponseRedirect(its_page)

    # --- taking logs elsewhere ------------------------------------------------------------------------------------

    @admin.action(description="Export logs of the selected jobs", permissions=["view"])
    def export_jobs(self, request: HttpRequest, queryset: QuerySet[Job]) -> StreamingHttpResponse:
        return attachment(Job.objects.filter(pk__in=queryset.order_by().values("pk")))

    # --- trying again ---------------------------------------------------------------------------------------------

    @admin.action(description="Try the chosen jobs again", permissions=["cancel"])
    def retry_jobs(self, request: HttpRequest, queryset: QuerySet[Job]) -> None:
        again.retry_and_tell(request, queryset)

    def retry_view(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        if not self.has_cancel_permission(request):
            raise PermissionDenied
        if not self.has_view_permission(request):
            raise Http404
        if request.method == "POST":
            again.retry_and_tell(request, [get_object_or_404(Job, pk=pk)])
        return HttpResponseRedirect(page("jobs_job_change", pk))


def _asked_for(request: HttpRequest, attempts: list[Attempt]) -> Attempt | None:
    """The attempt that `?attempt=` names, whose log is to be shown and no other's; None: the newest, and then the next."""
    return next((attempt for attempt in attempts if str(attempt.number) == request.GET.get("attempt")), None)
