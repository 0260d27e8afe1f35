"""The functions where other systems' traces are kept, too: whose execution it is, whose model, and what the program says.

Only what differs from 0002 stands here, piece by piece.
"""

from importlib import import_module

from django.db import migrations

before = import_module("tracing.migrations.0002_questions")


def _changed(text, *pieces):
    for old, new in (("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION"), *pieces):
        if text.count(old) != 1:
            raise ValueError(f"0002 has {text.count(old)} times: {old}")
        text = text.replace(old, new)
    return text


# Without what another system counts under the same number as an attempt of ours.
OWN = (
    """FROM trace_spans s WHERE s.execution_id = $1
    ORDER BY s.span_id, s.completed_at IS NULL, CASE""",
    """FROM trace_spans s WHERE s.execution_id = $1 AND s.job_id IS NOT DISTINCT FROM coalesce((
        SELECT o.job_id FROM trace_spans o
        WHERE o.execution_id = $1 AND o.service = 'job' AND o.operation = 'attempt' AND o.job_id <> ''
        ORDER BY o.started_at, o.parent_span_id IS NOT NULL, o.span_id LIMIT 1
    ), s.job_id)
    ORDER BY s.span_id, s.completed_at IS NULL, CASE""",
)
VERDICT = (
    (
        "DECLARE\n    state text;",
        "DECLARE\n    owner text;\n    state text;",
    ),
    (
        "SELECT a.state, a.verdict->>'code'",
        "SELECT a.job_id::text, a.state, a.verdict->>'code'",
    ),
    (
        "AND NOT EXISTS (SELECT 1 FROM trace_spans s WHERE s.execution_id = $1 AND s.job_id <> a.job_id::text)",
        """AND (EXISTS (SELECT FROM trace_spans s WHERE s.execution_id = $1 AND s.job_id = a.job_id::text)
                OR NOT EXISTS (SELECT FROM trace_spans s WHERE s.execution_id = $1))""",
    ),
    ("INTO state, code, remedy, seen USING $1", "INTO owner, state, code, remedy, seen USING $1"),
    (
        "SELECT CASE s.status WHEN 'completed' THEN 'succeeded'",
        "SELECT s.job_id, CASE s.status WHEN 'completed' THEN 'succeeded'",
    ),
    ("INTO state, code, seen\n", "INTO owner, state, code, seen\n"),
    (
        "ORDER BY s.completed_at IS NULL, s.id LIMIT 1;",
        """ORDER BY nullif(s.job_id, '') IS NULL, s.started_at, s.parent_span_id IS NOT NULL, s.span_id,
            s.completed_at IS NULL, s.id LIMIT 1;""",
    ),
    (
        """WHERE s.execution_id = $1 AND s.status IN ('failed', 'timeout', 'lost')
            ORDER BY s.error_type IS DISTINCT FROM code, s.completed_at, s.started_at DESC, s.span_id LIMIT 1
        )""",
        """WHERE s.execution_id = $1 AND s.status IN ('failed', 'timeout', 'lost')
                AND (owner IS NULL OR s.job_id = owner)
            ORDER BY s.error_type IS DISTINCT FROM code, s.completed_at, s.started_at DESC, s.span_id LIMIT 1
        ), program AS (
            SELECT concat('; ', s.service, ': ', s.operation, ' ', s.said) AS said FROM (
                SELECT s.*, concat_ws(', ', s.status, nullif(s.error_type, '')) || coalesce(
                    ': ' || nullif(left(split_part(s.error_message, chr(10), 1), 200), ''), '') AS said
                FROM trace_spans s WHERE s.execution_id = $1 AND s.status IN ('failed', 'timeout', 'lost')
                    AND (owner IS NULL OR s.job_id = owner)
                    AND s.service NOT IN ('web', 'command', 'job', 'control', 'worker', 'engine')
                    AND (s.service, s.operation) <> ('container', 'execute')
            ) s WHERE code = 'exit_code' AND s.said <> s.status
            ORDER BY s.completed_at, s.started_at DESC, s.span_id LIMIT 1
        )""",
    ),
    (
        "code || ': ' || seen,",
        "concat(code, ': ', seen, (SELECT p.said FROM program p)),",
    ),
)
MODEL = (
    "AND k.key NOT LIKE 'towline.%'",
    "AND k.key NOT LIKE 'towline.%' AND k.key NOT IN ('model_id', 'model.id')",
)
# What takes minutes is well if it always does, not if it takes less as a rule.
DEGRADED = (
    "t.took > 120000 AND (t.is_slow OR t.known < 4)",
    "t.took > 120000 AND (t.is_slow OR t.known < 4 OR t.twice_normal <= 240000)",
)
AFTER = (_changed(before.DIAGNOSE, OWN), _changed(before.ROOT_CAUSE, OWN, *VERDICT, MODEL, DEGRADED))


def change(apps, schema_editor):
    _create(schema_editor, AFTER)


def change_back(apps, schema_editor):
    _create(schema_editor, (_changed(before.DIAGNOSE), _changed(before.ROOT_CAUSE)))


def _create(schema_editor, texts):
    if schema_editor.connection.vendor == "postgresql":
        for text in texts:
            schema_editor.execute(text, params=None)


class Migration(migrations.Migration):
    dependencies = [("tracing", "0002_questions")]

    operations = [migrations.RunPython(change, change_back)]
