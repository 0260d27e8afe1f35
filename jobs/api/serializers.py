"""How jobs, attempts and events are shown. Input is checked by `jobs.spec`, not here."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.reverse import reverse

from jobs.logs.records import STREAMS
from jobs.models import Attempt, Event, Job
from jobs.waiting import waiting
from tracing.identity import trace_hex

SPEC_FIELDS = (
    "name", "project", "image", "command", "entrypoint", "script", "env", "working_dir", "user", "stdin", "tty", "runtime",
    "arch", "region", "labels", "requires", "resources", "timeouts", "retry", "priority", "concurrency", "after",
    "run_at", "network", "read_only", "secrets", "volumes", "inputs", "outputs",
)  # fmt: skip


class VerdictSerializer(serializers.Serializer[Any]):
    """Why it ended."""

    code = serializers.CharField()
    kind = serializers.CharField()
    summary = serializers.CharField()
    evidence = serializers.ListField(child=serializers.CharField())
    remedy = serializers.CharField()
    retryable = serializers.BooleanField()


class LogFactsSerializer(serializers.Serializer[Any]):
    """`sha256` and `complete` are null until the log is sealed; the facts stay when the log itself is dropped."""

    lines = serializers.IntegerField()
    bytes = serializers.IntegerField()
    sha256 = serializers.CharField(allow_null=True)
    complete = serializers.BooleanField(allow_null=True)
    gaps = serializers.ListField(child=serializers.DictField())
    dropped_at = serializers.DateTimeField(allow_null=True, help_text="When retention removed it.")


class WaitingSerializer(serializers.Serializer[Any]):
    """Why it waits: one token, a sentence, how far it is from the head of the queue, and which jobs it waits for."""

    reason = serializers.CharField()
    detail = serializers.CharField()
    position = serializers.IntegerField()
    blocked_by = serializers.ListField(child=serializers.UUIDField())


class JobSerializer(serializers.ModelSerializer[Job]):
    """A job as it stands: its spec, its state, and what its newest attempt says."""

    attempt = serializers.SerializerMethodField(help_text="The current attempt's number.")
    waiting = serializers.SerializerMethodField()
    verdict = VerdictSerializer(allow_null=True, read_only=True)
    image_digest = serializers.SerializerMethodField()
    worker = serializers.SerializerMethodField()
    runtime = serializers.SerializerMethodField()
    result = serializers.SerializerMethodField()
    log = serializers.SerializerMethodField()
    trace_id = serializers.SerializerMethodField()
    group = serializers.SerializerMethodField()
    progress = serializers.SerializerMethodField(help_text="What takes long just now, e.g. an image pull.")
    links = serializers.SerializerMethodField()

    class Meta:
        model = Job
        fields = (
            "id", "state", "created_at", "queued_at", "started_at", "finished_at", "attempt", "attempts_count",
            "waiting", "exit_code", "verdict", "image_digest", "worker", "runtime", "cancel_requested_at", "result",
            "log", "trace_id", "group", "progress", "links",
        )  # fmt: skip

    def to_representation(self, instance: Job) -> dict[str, Any]:
        shown = super().to_representation(instance)
        spec = {field: instance.spec.get(field) for field in SPEC_FIELDS if field != "runtime"}
        return {"id": shown.pop("id"), "state": shown.pop("state"), **spec, **shown}

    def get_attempt(self, job: Job) -> int | None:
        return job.attempts_count or None

    @extend_schema_field(WaitingSerializer(allow_null=True))
    def get_waiting(self, job: Job) -> dict[str, Any] | None:
        return waiting(job)

    def get_image_digest(self, job: Job) -> str | None:
        return (job.current_attempt and job.current_attempt.image_digest) or None

    def get_worker(self, job: Job) -> str | None:
        return job.current_attempt.worker if job.current_attempt else None

    def get_runtime(self, job: Job) -> str | None:
        return job.current_attempt.runtime if job.current_attempt else (job.runtime or None)

    @extend_schema_field(serializers.DictField(allow_null=True))
    def get_result(self, job: Job) -> None:
        return None

    @extend_schema_field(LogFactsSerializer)
    def get_log(self, job: Job) -> dict[str, Any]:
        return (job.current_attempt or Attempt()).log_facts()

    def get_trace_id(self, job: Job) -> str | None:
        return trace_hex(job.trace_id) if job.trace_id else None

    def get_group(self, job: Job) -> str | None:
        return None

    @extend_schema_field(serializers.DictField(allow_null=True))
    def get_progress(self, job: Job) -> dict[str, Any] | None:
        return job.current_attempt.progress if job.current_attempt and not job.is_final else None

    @extend_schema_field(serializers.DictField(child=serializers.URLField()))
    def get_links(self, job: Job) -> dict[str, str]:
        request = self.context.get("request")
        names = {
            "self": "job", "logs": "job-logs", "events": "job-events", "attempts": "job-attempts", "trace": "job-trace",
        }  # fmt: skip
        return {rel: reverse(f"api:{name}", [job.pk], request=request) for rel, name in names.items()}


class AttemptSerializer(serializers.ModelSerializer[Attempt]):
    """One try: `id` is the execution id, `task_id` Celery's, the key of the stored TaskResult."""

    verdict = VerdictSerializer(allow_null=True, read_only=True)
    log = LogFactsSerializer(source="log_facts", read_only=True)
    task_id = serializers.CharField(allow_null=True, read_only=True)

    class Meta:
        model = Attempt
        fields = (
            "id", "number", "state", "worker", "runtime", "engine", "handle", "image_digest", "progress", "created_at",
            "claimed_at", "started_at", "finished_at", "removed_at", "exit_code", "verdict", "memory_bytes", "usage", "log",
            "task_id",
        )  # fmt: skip


class EventSerializer(serializers.ModelSerializer[Event]):
    attempt = serializers.IntegerField(source="attempt.number", allow_null=True, default=None, read_only=True)
    at = serializers.DateTimeField(source="created_at", read_only=True)

    class Meta:
        model = Event
        fields = ("id", "at", "kind", "attempt", "actor", "data")


def job_with_history(job: Job) -> dict[str, Any]:
    """The job as REST shows it, with its `attempts` and `events`, the first first."""
    return {
        **JobSerializer(job).data,
        "attempts": AttemptSerializer(job.attempts.order_by("number"), many=True).data,
        "events": EventSerializer(job.events.select_related("attempt"), many=True).data,
    }


class ProblemSerializer(serializers.Serializer[Any]):
    """RFC 9457."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    errors = serializers.DictField(  # type: ignore[assignment]  # the name is the RFC's example
        child=serializers.ListField(child=serializers.CharField()), required=False
    )


class LogLineSerializer(serializers.Serializer[Any]):
    n = serializers.IntegerField(help_text="Line number, from 1.")
    time = serializers.DateTimeField()
    stream = serializers.ChoiceField(STREAMS)
    text = serializers.CharField()


class LogPageSerializer(serializers.Serializer[Any]):
    lines = LogLineSerializer(many=True)
    next = serializers.IntegerField(help_text="Ask again with from= this.")
    final = serializers.BooleanField(help_text="Nothing will come behind these lines.")


class LogSearchSerializer(serializers.Serializer[Any]):
    """What a search in logs is asked for, besides the filters of jobs."""

    q = serializers.CharField(
        trim_whitespace=False, max_length=1000, help_text="A text, or with `regex` an RE2 expression; within a line."
    )
    regex = serializers.BooleanField(default=False)
    ignore_case = serializers.BooleanField(default=False)
    stream = serializers.ChoiceField(STREAMS, required=False)
    since = serializers.DateTimeField(required=False, help_text="Lines of that time or later.")
    until = serializers.DateTimeField(required=False, help_text="Lines before that time.")
    job = serializers.UUIDField(required=False, help_text="Only of that job.")
    attempt = serializers.IntegerField(min_value=1, max_value=10**9, required=False, help_text="Only of that number.")
    limit = serializers.IntegerField(min_value=1, max_value=10_000, default=100)
    cursor = serializers.RegexField(r"^\d{1,15}-\d{1,15}$", required=False, help_text="Of `next`: behind there.")


class LogHitSerializer(serializers.Serializer[Any]):
    job = serializers.UUIDField()
    name = serializers.CharField(help_text="Of the job.")
    attempt = serializers.IntegerField(help_text="Its number.")
    line = serializers.IntegerField(help_text="Line number, from 1.")
    time = serializers.DateTimeField()
    stream = serializers.ChoiceField(STREAMS)
    text = serializers.CharField()


class SearchedSerializer(serializers.Serializer[Any]):
    attempts = serializers.IntegerField()
    bytes = serializers.IntegerField(help_text="Of output, read.")
    passed_over_bytes = serializers.IntegerField(
        help_text="Of output, not read, as it can't hold what is searched for."
    )
    unreadable = serializers.ListField(child=serializers.CharField(), help_text="Logs that the storage does not give.")


class LogHitsSerializer(serializers.Serializer[Any]):
    results = LogHitSerializer(many=True)
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    searched = SearchedSerializer()
