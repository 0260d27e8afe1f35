"""How traces, and what is asked of them, are shown and asked for over REST."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from jobs.traces.changed import DAYS, DAYS_MOST, LAST, LAST_MOST
from jobs.traces.listing import CURSOR
from tracing.models import Status

LIMIT, LIMIT_MOST = 10, 100
SIMILAR, SIMILAR_MOST = 5, 50
EXECUTION_MOST = 2**63 - 1
TEN_YEARS_MS = 315_360_000_000


class SpanSerializer(serializers.Serializer[Any]):
    """One stretch of work. `completed_at` and `duration_ms` are null while it is open."""

    span_id = serializers.CharField(help_text="16 hexadecimal digits.")
    parent_span_id = serializers.CharField(allow_null=True)
    service = serializers.CharField()
    operation = serializers.CharField()
    started_at = serializers.DateTimeField()
    completed_at = serializers.DateTimeField(allow_null=True)
    duration_ms = serializers.IntegerField(allow_null=True)
    status = serializers.ChoiceField(Status.choices)
    job_id = serializers.CharField(allow_null=True)
    execution_id = serializers.IntegerField(allow_null=True, help_text="The attempt's `id`.")
    model_id = serializers.CharField(allow_null=True, help_text="The job's label `model`.")
    region = serializers.CharField(allow_null=True)
    metadata = serializers.DictField(
        allow_null=True, help_text="`attributes`, `kind`, `events`, `links`: what there is."
    )
    error_message = serializers.CharField(allow_null=True)
    error_type = serializers.CharField(allow_null=True, help_text="A verdict code, or the kind of an exception.")


class StepSerializer(SpanSerializer):
    depth = serializers.IntegerField(help_text="0: it has no parent here.")
    critical = serializers.BooleanField(help_text="On the path that determined when the whole was over.")


class TraceSummarySerializer(serializers.Serializer[Any]):
    """`completed_at` and `duration_ms` are null while a span is open."""

    operation = serializers.CharField(help_text="Of the first span.")
    service = serializers.CharField()
    job_id = serializers.CharField(allow_null=True)
    started_at = serializers.DateTimeField()
    completed_at = serializers.DateTimeField(allow_null=True)
    duration_ms = serializers.IntegerField(allow_null=True)
    status = serializers.ChoiceField(Status.choices)
    spans = serializers.IntegerField()
    failed = serializers.IntegerField(help_text="Spans that failed, timed out or were lost.")


class TraceSerializer(serializers.Serializer[Any]):
    """The waterfall: each span below its parent, by start."""

    trace_id = serializers.CharField(allow_null=True, help_text="32 hexadecimal digits; null: the job is not traced.")
    note = serializers.CharField(help_text="Why there is less than one would expect, and what to set; or empty.")
    more = serializers.BooleanField(help_text="It has more spans than are shown.")
    summary = TraceSummarySerializer(allow_null=True)
    spans = StepSerializer(many=True)


class ListedTraceSerializer(TraceSummarySerializer):
    trace_id = serializers.CharField()
    match = SpanSerializer(help_text="The newest of its spans that fit.")


class TracesSerializer(serializers.Serializer[Any]):
    """The list is over where `next` is null: a page may have fewer than `limit`, or none, and more behind it."""

    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True, help_text="Null.")
    results = ListedTraceSerializer(many=True)


class TracesAskedSerializer(serializers.Serializer[Any]):
    """What one span of a trace must be, all of it at once."""

    status = serializers.ChoiceField(Status.choices, required=False)
    slower_than_ms = serializers.IntegerField(min_value=0, max_value=TEN_YEARS_MS, required=False)
    service = serializers.CharField(max_length=50, required=False)
    operation = serializers.CharField(max_length=100, required=False)
    job = serializers.UUIDField(required=False)
    execution = serializers.IntegerField(min_value=1, max_value=EXECUTION_MOST, required=False)
    days = serializers.IntegerField(
        min_value=1,
        max_value=DAYS_MOST,
        required=False,
        help_text=f"So far back; {DAYS} when left out, and of a job or an execution all there is.",
    )
    limit = serializers.IntegerField(min_value=1, max_value=LIMIT_MOST, default=LIMIT)
    cursor = serializers.RegexField(CURSOR, required=False, help_text="Of `next`: the traces behind there.")


class AttemptAskedSerializer(serializers.Serializer[Any]):
    attempt = serializers.IntegerField(
        min_value=1, max_value=10**9, required=False, help_text="Its number; the newest when left out."
    )


class AnomalySerializer(serializers.Serializer[Any]):
    service = serializers.CharField()
    operation = serializers.CharField()
    started_at = serializers.DateTimeField()
    completed_at = serializers.DateTimeField(allow_null=True)
    duration_ms = serializers.IntegerField(allow_null=True)
    gap_after_ms = serializers.IntegerField(allow_null=True, help_text="To the next span of the same parent.")
    status = serializers.ChoiceField(Status.choices)
    error_message = serializers.CharField(allow_null=True)
    reason = serializers.CharField()


class RootCauseSerializer(serializers.Serializer[Any]):
    type = serializers.CharField()
    service = serializers.CharField(allow_null=True)
    operation = serializers.CharField(allow_null=True)
    evidence = serializers.CharField()
    recommendation = serializers.CharField()


class AskedOfSerializer(serializers.Serializer[Any]):
    """What every answer about an attempt begins with."""

    trace_id = serializers.CharField(allow_null=True)
    attempt = serializers.IntegerField(allow_null=True, help_text="Its number.")
    execution_id = serializers.IntegerField(allow_null=True)
    note = serializers.CharField(help_text="Why there is less than one would expect, and what to set; or empty.")


class DiagnosisSerializer(AskedOfSerializer):
    anomalies = AnomalySerializer(many=True)
    root_cause = RootCauseSerializer(allow_null=True)


class SimilarAskedSerializer(AttemptAskedSerializer):
    limit = serializers.IntegerField(min_value=1, max_value=SIMILAR_MOST, default=SIMILAR)


class SimilarRunSerializer(serializers.Serializer[Any]):
    execution_id = serializers.IntegerField()
    job_id = serializers.UUIDField(allow_null=True, help_text="Null: the job is not here any more.")
    job_name = serializers.CharField(allow_null=True)
    attempt = serializers.IntegerField(allow_null=True)
    similarity = serializers.FloatField(help_text="From 0 to 1, which is the same.")
    status = serializers.CharField()
    duration_ms = serializers.IntegerField(allow_null=True)
    failure_point = serializers.CharField(allow_null=True)


class SimilarSerializer(AskedOfSerializer):
    results = SimilarRunSerializer(many=True)


class ChangesAskedSerializer(AttemptAskedSerializer):
    last = serializers.IntegerField(
        min_value=1, max_value=LAST_MOST, default=LAST, help_text="Successes whose median phases are compared with."
    )
    days = serializers.IntegerField(
        min_value=1, max_value=DAYS_MOST, default=DAYS, help_text="So far back failing and passing runs are looked at."
    )


class SameSerializer(serializers.Serializer[Any]):
    """What makes another job the same one."""

    by = serializers.CharField(help_text="`project and name`; of one without a name, `project, image and command`.")
    project = serializers.CharField()
    name = serializers.CharField()
    image = serializers.CharField()


class ComparedWithSerializer(serializers.Serializer[Any]):
    job_id = serializers.UUIDField()
    attempt = serializers.IntegerField()
    execution_id = serializers.IntegerField()
    finished_at = serializers.DateTimeField(allow_null=True)


class ChangeSerializer(serializers.Serializer[Any]):
    field = serializers.CharField(help_text="Dotted; `ran on …` for what is not of the spec.")
    before = serializers.JSONField(allow_null=True, help_text="Null for what may be secret: env and stdin.")
    after = serializers.JSONField(allow_null=True)


class PhaseDifferenceSerializer(serializers.Serializer[Any]):
    service = serializers.CharField()
    operation = serializers.CharField()
    seconds = serializers.FloatField(allow_null=True, help_text="Null: this run lacks it.")
    usual_seconds = serializers.FloatField(allow_null=True, help_text="The median; null: no earlier run had it.")
    difference_seconds = serializers.FloatField()
    ratio = serializers.FloatField(allow_null=True)
    runs = serializers.IntegerField(help_text="Earlier ones that had it.")


class PhasesSerializer(serializers.Serializer[Any]):
    successes = serializers.IntegerField()
    differences = PhaseDifferenceSerializer(many=True, help_text="The greatest first.")


class AttributeDifferenceSerializer(serializers.Serializer[Any]):
    attribute = serializers.CharField()
    value = serializers.CharField()
    failing = serializers.IntegerField(help_text="Failing runs that have it.")
    passing = serializers.IntegerField()
    failing_share = serializers.FloatField()
    passing_share = serializers.FloatField()
    failure_rate = serializers.FloatField(help_text="Of the runs that have it.")
    chance = serializers.FloatField(help_text="How likely it says nothing; corrected for how much was looked at.")


class AttributesSerializer(serializers.Serializer[Any]):
    """`note`: why nothing can be said."""

    days = serializers.IntegerField()
    failing = serializers.IntegerField()
    passing = serializers.IntegerField()
    note = serializers.CharField()
    differences = AttributeDifferenceSerializer(many=True)


class ChangesSerializer(AskedOfSerializer):
    same = SameSerializer()
    compared_with = ComparedWithSerializer(allow_null=True, help_text="The newest success before it.")
    spec = ChangeSerializer(many=True)
    phases = PhasesSerializer()
    attributes = AttributesSerializer()


class ComparisonSerializer(AskedOfSerializer):
    compared_with = ComparedWithSerializer(allow_null=True, help_text="Null: the other was never tried.")
    spec = ChangeSerializer(many=True)
    phases = PhaseDifferenceSerializer(many=True)
