from django.urls import path

from . import (  # noqa: F401 - openapi tells the schema generator what it can't see
    diagnoses,
    exporting,
    log_search,
    logs,
    openapi,
    otlp,
    secrets,
    statistics,
    traces,
    usage,
    views,
)

urlpatterns = [
    path("jobs/", views.Jobs.as_view(), name="jobs"),
    path("jobs/<uuid:pk>/", views.JobDetail.as_view(), name="job"),
    path("jobs/<uuid:pk>/wait/", views.JobWait.as_view(), name="job-wait"),
    path("jobs/<uuid:pk>/cancel/", views.JobCancel.as_view(), name="job-cancel"),
    path("jobs/<uuid:pk>/retry/", views.JobRetry.as_view(), name="job-retry"),
    path("jobs/<uuid:pk>/clone/", views.JobClone.as_view(), name="job-clone"),
    path("jobs/<uuid:pk>/logs/", logs.JobLogs.as_view(), name="job-logs"),
    path("jobs/<uuid:pk>/usage/", usage.JobUsage.as_view(), name="job-usage"),
    path("jobs/<uuid:pk>/export/", exporting.JobExport.as_view(), name="job-export"),
    path("jobs/<uuid:pk>/events/", views.JobEvents.as_view(), name="job-events"),
    path("jobs/<uuid:pk>/attempts/", views.JobAttempts.as_view(), name="job-attempts"),
    path("jobs/<uuid:pk>/attempts/<int:number>/", views.JobAttempt.as_view(), name="job-attempt"),
    path("jobs/<uuid:pk>/trace/", traces.JobTrace.as_view(), name="job-trace"),
    path("jobs/<uuid:pk>/diagnosis/", diagnoses.JobDiagnosis.as_view(), name="job-diagnosis"),
    path("jobs/<uuid:pk>/similar/", diagnoses.JobSimilar.as_view(), name="job-similar"),
    path("jobs/<uuid:pk>/changes/", traces.JobChanges.as_view(), name="job-changes"),
    path("traces/", traces.Traces.as_view(), name="traces"),
    path("traces/<str:trace_id>/", traces.TraceDetail.as_view(), name="trace"),
    path("logs/search/", log_search.LogSearch.as_view(), name="logs-search"),
    path("logs/export/", exporting.LogsExport.as_view(), name="logs-export"),
    path("otlp/v1/traces", otlp.Traces.as_view(), name="otlp-traces"),  # as OTLP has it, without a slash
    path("stats/", statistics.Stats.as_view(), name="stats"),
    path("secrets/", secrets.Secrets.as_view(), name="secrets"),
    path("secrets/<int:pk>/", secrets.SecretDetail.as_view(), name="secret"),
]
