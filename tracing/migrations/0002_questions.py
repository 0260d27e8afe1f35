"""Two views, and on PostgreSQL three functions, for whoever asks in SQL. `tracing.questions` gives the same answers in Python.

What the rules are, and why, stands in docs/questions.md; the numbers here are those in `tracing/questions/rules.py`.
"""

from django.db import migrations

COLUMNS = """trace_id, span_id, parent_span_id, service, operation, started_at, completed_at, duration_ms, status, job_id,
    execution_id, model_id, region, metadata, error_message"""

WATERFALL = f"CREATE VIEW trace_waterfall AS SELECT {COLUMNS} FROM trace_spans ORDER BY trace_id, started_at"

HEALTH = """
CREATE VIEW trace_spans_health AS SELECT
    count(*) AS total_spans,
    count(*) FILTER (WHERE created_at > {day}) AS spans_last_24h,
    count(*) FILTER (WHERE created_at > {hour}) AS spans_last_hour,
    {table_size} AS table_size,
    {whole_size} AS total_size_with_indexes,
    count(DISTINCT trace_id) AS unique_traces,
    {average} AS avg_duration_ms,
    count(*) FILTER (WHERE status = 'failed') AS failed_spans,
    count(*) FILTER (WHERE status = 'timeout') AS timeout_spans
FROM trace_spans
"""

HEALTH_POSTGRES = HEALTH.format(
    day="now() - interval '24 hours'",
    hour="now() - interval '1 hour'",
    table_size="pg_size_pretty(pg_table_size('trace_spans'))",
    whole_size="pg_size_pretty(pg_total_relation_size('trace_spans'))",
    average="round(avg(duration_ms), 2)",
)

# SQLite lets no view ask for pages: what is stored is counted, and what an index adds to a row is known well enough.
_STORED = "100 + length(operation) + coalesce(length(metadata), 0) + coalesce(length(error_message), 0)"
HEALTH_SQLITE = HEALTH.format(
    day="strftime('%Y-%m-%d %H:%M:%f', 'now', '-24 hours')",
    hour="strftime('%Y-%m-%d %H:%M:%f', 'now', '-1 hour')",
    table_size=f"printf('about %d kB', (coalesce(sum({_STORED}), 0) + 1023) / 1024)",
    whole_size=f"printf('about %d kB', (coalesce(sum({_STORED} + 240), 0) + 1023) / 1024)",
    average="round(avg(duration_ms), 2)",
)


def _milliseconds(interval):
    """Rounded down. LEAST takes no notice of NULL."""
    return f"CASE WHEN {interval} IS NOT NULL THEN least(floor(extract(epoch FROM {interval}) * 1000), 2147483647)::integer END"


# Each span of the execution once, as it closed; until when it and all below it went on; the gap behind it; its normal.
JUDGED = f"""
mine AS MATERIALIZED (
    SELECT DISTINCT ON (s.span_id) s.*,
        coalesce(s.completed_at, greatest(now(), s.started_at)) AS ended_at,
        coalesce(s.duration_ms, {_milliseconds("s.completed_at - s.started_at")}) AS took
    FROM trace_spans s WHERE s.execution_id = $1 AND s.job_id IS NOT DISTINCT FROM coalesce((
        SELECT o.job_id FROM trace_spans o
        WHERE o.execution_id = $1 AND o.service = 'job' AND o.operation = 'attempt' AND o.job_id <> ''
        ORDER BY o.started_at, o.parent_span_id IS NOT NULL, o.span_id LIMIT 1
    ), s.job_id)
    ORDER BY s.span_id, s.completed_at IS NULL, CASE WHEN s.completed_at IS NULL THEN -s.id ELSE s.id END
), climbing AS (
    SELECT m.span_id, m.parent_span_id, m.ended_at AS until FROM mine m
    UNION
    SELECT p.span_id, p.parent_span_id, c.until
    FROM climbing c JOIN mine p ON p.span_id = c.parent_span_id AND c.until > p.ended_at
), reaching AS MATERIALIZED (
    SELECT c.span_id, max(c.until) AS reach FROM climbing c GROUP BY c.span_id
), spaced AS MATERIALIZED (
    SELECT m.*, lead(m.started_at) OVER siblings - max(r.reach) OVER siblings AS space
    FROM mine m JOIN reaching r USING (span_id)
    WINDOW siblings AS (PARTITION BY m.trace_id, m.parent_span_id ORDER BY m.started_at, m.span_id)
), phases AS (
    SELECT m.service, m.operation, array_agg(m.took) FILTER (WHERE m.status = 'completed' AND m.took IS NOT NULL) AS own
    FROM mine m GROUP BY m.service, m.operation
), histories AS MATERIALIZED (
    SELECT p.service, p.operation, cardinality(past.took) < 4 AS thin,
        ARRAY(SELECT unnest(CASE WHEN cardinality(past.took) < 4 THEN past.took || p.own ELSE past.took END) ORDER BY 1) AS took
    FROM phases p CROSS JOIN LATERAL (
        SELECT ARRAY(
            -- Backwards through the index (service, operation): of late, without sorting all there is.
            SELECT s.duration_ms FROM trace_spans s
            WHERE (s.service, s.operation) >= (p.service, p.operation) AND (s.service, s.operation) <= (p.service, p.operation)
                AND s.status = 'completed' AND s.duration_ms IS NOT NULL AND s.execution_id IS DISTINCT FROM $1
            ORDER BY s.service DESC, s.operation DESC LIMIT 100
        ) AS took
    ) past
), placed AS (
    -- Of a thin history its own execution is a part, and the span itself the place to leave out.
    SELECT s.*, h.took AS history,
        CASE WHEN h.thin AND s.status = 'completed' THEN array_position(h.took, s.took) END AS place
    FROM spaced s JOIN histories h USING (service, operation)
), measured AS (
    SELECT p.*, l.known, p.history[l.low + (l.low >= coalesce(p.place, l.low + 1))::integer]::bigint
        + p.history[l.high + (l.high >= coalesce(p.place, l.high + 1))::integer]::bigint AS twice_normal
    FROM placed p CROSS JOIN LATERAL (
        SELECT c.known, (c.known + 1) / 2 AS low, c.known / 2 + 1 AS high
        FROM (SELECT cardinality(p.history) - (p.place IS NOT NULL)::integer AS known) c
    ) l
), judged AS (
    SELECT m.*,
        greatest(0, {_milliseconds("m.space")}) AS gap,
        m.space IS NOT NULL AS has_next,
        CASE WHEN m.known >= 4 THEN m.twice_normal / 2 END AS normal,
        m.known >= 4 AND 2 * m.took > 3 * m.twice_normal AND 2 * m.took >= m.twice_normal + 20 AS is_slow,
        concat_ws(', ', m.status, nullif(m.error_type, '')) || coalesce(
            ': ' || nullif(left(split_part(m.error_message, chr(10), 1), 200), ''), '') AS said
    FROM measured m
)
"""

DIAGNOSE = f"""
CREATE FUNCTION diagnose_execution_trace(execution_id bigint) RETURNS TABLE (
    service varchar, operation varchar, started_at timestamptz, completed_at timestamptz, duration_ms integer,
    gap_after_ms integer, status varchar, error_message text, is_anomaly boolean, anomaly_reason text
) LANGUAGE sql STABLE AS $body$
WITH RECURSIVE {JUDGED}
SELECT j.service, j.operation, j.started_at, j.completed_at, j.took, CASE WHEN j.has_next THEN j.gap END, j.status,
    j.error_message,
    j.status IN ('failed', 'timeout', 'lost') OR (j.has_next AND j.gap > 5000) OR coalesce(j.is_slow, false),
    nullif(concat_ws('; ',
        CASE WHEN j.status IN ('failed', 'timeout', 'lost') THEN j.said END,
        CASE WHEN j.has_next AND j.gap > 5000 THEN 'nothing for ' || j.gap || ' ms after it' END,
        CASE WHEN j.is_slow THEN 'took ' || j.took || ' ms, its normal is ' || j.normal || ' ms, the median of ' || j.known
             WHEN j.took IS NOT NULL AND j.known < 4 THEN 'history too thin: ' || j.known || ' of 4 spans' END
    ), '')
FROM judged j ORDER BY j.started_at, j.parent_span_id IS NOT NULL, j.span_id
$body$
"""

CONNECTION = (
    "connect|econn|refused|unreachable|no route to host|broken pipe|epipe|socket hang up|name or service not known"
    "|name resolution|no such host|getaddrinfo|enotfound"
)
TIME_OUT = "timed?[ _-]?out|deadline"
MODEL = "model|inferenc|predict|generat"
MODEL_ATTRIBUTE = "(^|[._])model([._]|$)"

RECOMMENDATIONS = {
    "NETWORK_TIMEOUT": "Look at the network and the queue between this operation and the next: for that long nobody worked on it.",
    "CONNECTION_FAILURE": "Check that what it connects to is up, and is reached from there: address, DNS, firewall, credentials.",
    "SERVICE_TIMEOUT": "See why the service is slow to answer, or allow it more time.",
    "PERFORMANCE_DEGRADATION": "Compare it with earlier runs phase by phase; look for contention of cpus, memory, disk or network.",
    "MODEL_EXECUTION_FAILURE": "Read the program's log and its input: the model or program itself failed.",
    "UNKNOWN": "Read the log of the failed operation and its error; the trace alone does not tell why.",
}


def _recommended(kind):
    cases = " ".join(f"WHEN '{name}' THEN '{text.replace(chr(39), chr(39) * 2)}'" for name, text in RECOMMENDATIONS.items())
    return f"CASE {kind} {cases} ELSE 'Read the evidence of the verdict and the log of the attempt.' END"


ROOT_CAUSE = f"""
CREATE FUNCTION identify_root_cause(execution_id bigint) RETURNS TABLE (
    root_cause_type varchar, affected_service varchar, affected_operation varchar, evidence text, recommendation text
) LANGUAGE plpgsql STABLE AS $body$
#variable_conflict use_column
DECLARE
    owner text;
    state text;
    code text;
    seen text;
    remedy text;
BEGIN
    -- The platform's own word, where its tables are in this database; else what the span of the attempt says.
    IF to_regclass('jobs_attempt') IS NOT NULL THEN
        EXECUTE $sql$
            SELECT a.job_id::text, a.state, a.verdict->>'code', a.verdict->>'remedy', a.verdict->>'summary' || coalesce(' (' || (
                SELECT string_agg(e.told, '; ' ORDER BY e.place)
                FROM jsonb_array_elements_text(a.verdict->'evidence') WITH ORDINALITY e (told, place) WHERE e.place <= 3
            ) || ')', '')
            FROM jobs_attempt a WHERE a.id = $1
            -- Other systems count their executions, too.
            AND (EXISTS (SELECT FROM trace_spans s WHERE s.execution_id = $1 AND s.job_id = a.job_id::text)
                OR NOT EXISTS (SELECT FROM trace_spans s WHERE s.execution_id = $1))
        $sql$ INTO owner, state, code, remedy, seen USING $1;
    END IF;
    IF state IS NULL THEN
        SELECT s.job_id, CASE s.status WHEN 'completed' THEN 'succeeded' ELSE s.status END,
            CASE WHEN s.status IN ('failed', 'timeout', 'lost') THEN nullif(s.error_type, '') END,
            coalesce(nullif(s.error_message, ''), s.error_type)
        INTO owner, state, code, seen
        FROM trace_spans s WHERE s.execution_id = $1 AND s.service = 'job' AND s.operation = 'attempt'
        ORDER BY nullif(s.job_id, '') IS NULL, s.started_at, s.parent_span_id IS NOT NULL, s.span_id,
            s.completed_at IS NULL, s.id LIMIT 1;
    END IF;
    IF state IN ('succeeded', 'assigned', 'starting', 'running') THEN
        RETURN;
    END IF;
    IF code IS NOT NULL THEN
        RETURN QUERY
        WITH failed AS (
            SELECT s.service, s.operation FROM trace_spans s
            WHERE s.execution_id = $1 AND s.status IN ('failed', 'timeout', 'lost')
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
        ), named AS (
            SELECT (CASE
                WHEN code LIKE 'timeout\\_%' THEN 'SERVICE_TIMEOUT'
                WHEN code IN ('image_registry_unreachable', 'engine_unavailable') THEN 'CONNECTION_FAILURE'
                WHEN code IN ('exit_code', 'killed_by_signal') THEN 'MODEL_EXECUTION_FAILURE'
                ELSE upper(code) END)::varchar AS kind
        )
        SELECT n.kind, coalesce(f.service, 'job'), coalesce(f.operation, 'attempt'), concat(code, ': ', seen, (SELECT p.said FROM program p)),
            coalesce(nullif(remedy, ''), {_recommended("n.kind")})
        FROM named n LEFT JOIN failed f ON true;
        RETURN;
    END IF;
    RETURN QUERY
    WITH RECURSIVE {JUDGED}, told AS (
        SELECT j.*, concat_ws(' ', j.error_type, j.error_message, (
            SELECT string_agg(concat_ws(' ', e.event->'attributes'->>'exception.type',
                e.event->'attributes'->>'exception.message'), ' ')
            FROM jsonb_array_elements(
                CASE jsonb_typeof(j.metadata->'events') WHEN 'array' THEN j.metadata->'events' ELSE '[]' END
            ) e (event)
        )) AS words, j.service = 'container' OR concat_ws(' ', j.service, j.operation) ~* '{MODEL}' OR EXISTS (
            SELECT FROM jsonb_object_keys(
                CASE jsonb_typeof(j.metadata->'attributes') WHEN 'object' THEN j.metadata->'attributes' ELSE '{{}}' END
            ) k (key) WHERE k.key ~* '{MODEL_ATTRIBUTE}' AND k.key NOT LIKE 'towline.%' AND k.key NOT IN ('model_id', 'model.id')
        ) AS is_model FROM judged j
    ), ranked AS (
        SELECT t.*, CASE
            WHEN t.has_next AND t.gap > 60000 THEN 1
            WHEN t.status = 'failed' AND t.words ~* '{CONNECTION}' THEN 2
            WHEN t.status = 'timeout' OR (t.status = 'failed' AND t.words ~* '{TIME_OUT}') THEN 3
            WHEN t.took > 120000 AND (t.is_slow OR t.known < 4 OR t.twice_normal <= 240000) THEN 4
            WHEN t.status = 'failed' AND t.is_model THEN 5
            WHEN t.status IN ('failed', 'lost') THEN 6 END AS rank
        FROM told t
    ), first AS (
        SELECT r.*, (ARRAY['NETWORK_TIMEOUT', 'CONNECTION_FAILURE', 'SERVICE_TIMEOUT', 'PERFORMANCE_DEGRADATION',
            'MODEL_EXECUTION_FAILURE', 'UNKNOWN'])[r.rank]::varchar AS kind
        FROM ranked r WHERE r.rank IS NOT NULL
        ORDER BY r.rank, r.completed_at, r.started_at DESC, r.span_id LIMIT 1
    )
    SELECT f.kind, f.service, f.operation, CASE f.rank
        WHEN 1 THEN 'nothing for ' || f.gap || ' ms after it'
        WHEN 4 THEN 'took ' || f.took || ' ms' || coalesce(', its normal is ' || f.normal || ' ms', '')
        ELSE f.said END, {_recommended("f.kind")}
    FROM first f;
END
$body$
"""

# Backwards through the index (service, operation): of late, without sorting all there is.
def _of_late(what, phase, most):
    return f"""SELECT {what} FROM trace_spans s
            WHERE (s.service, s.operation) >= ({phase}.service, {phase}.operation)
                AND (s.service, s.operation) <= ({phase}.service, {phase}.operation)
            ORDER BY s.service DESC, s.operation DESC LIMIT {most}"""


SIMILAR = f"""
CREATE FUNCTION find_similar_traces(execution_id bigint, "limit" integer DEFAULT 5) RETURNS TABLE (
    similar_execution_id bigint, similarity_score double precision, status varchar, total_duration_ms integer, failure_point text
) LANGUAGE plpgsql STABLE AS $body$
#variable_conflict use_column
DECLARE
    wanted integer := greatest(0, coalesce($2, 5));
    mine integer[];
    shape record;
    theirs integer[];
    ids bigint[] := '{{}}';
    scores double precision[] := '{{}}';
    kth double precision;
    longer integer;
    head integer;
    tail integer;
    rows_left integer;
    columns_left integer;
    above integer[];
    this integer[];
    token integer;
BEGIN
    SELECT (array_agg(hashtext(s.operation) ORDER BY s.started_at, s.operation COLLATE "C", s.span_id))[1:200] INTO mine
    FROM (
        SELECT DISTINCT ON (s.span_id) s.* FROM trace_spans s WHERE s.execution_id = $1
        ORDER BY s.span_id, s.completed_at IS NULL, CASE WHEN s.completed_at IS NULL THEN -s.id ELSE s.id END
    ) s;
    IF mine IS NULL OR wanted = 0 THEN
        RETURN;
    END IF;
    FOR shape IN
        WITH own AS (
            SELECT concat(s.service, ': ', s.operation) AS point, s.error_type, s.service, s.operation, s.status
            FROM trace_spans s WHERE s.execution_id = $1 AND s.status IN ('failed', 'timeout', 'lost')
            ORDER BY s.completed_at, s.started_at DESC, s.span_id LIMIT 1
        ), recent AS (
            SELECT min(e.execution_id) AS floor FROM (
                SELECT s.execution_id FROM trace_spans s WHERE s.execution_id IS NOT NULL
                ORDER BY s.execution_id DESC LIMIT 20000
            ) e
        ), unusual AS (
            SELECT unnest(few.found) AS id
            FROM (
                SELECT DISTINCT s.service, s.operation FROM trace_spans s WHERE s.execution_id = $1
                ORDER BY s.service, s.operation LIMIT 50
            ) phase CROSS JOIN LATERAL (
                SELECT array_agg(l.execution_id) AS found FROM ({_of_late("s.execution_id", "phase", 500)}) l
            ) few WHERE cardinality(few.found) < 500
        ), alike AS (
            SELECT l.execution_id AS id FROM own CROSS JOIN LATERAL (
                {_of_late("s.execution_id, s.status, s.error_type", "own", 10000)}
            ) l WHERE l.status = own.status AND l.error_type IS NOT DISTINCT FROM own.error_type LIMIT 500
        ), spans AS MATERIALIZED (
            SELECT s.* FROM trace_spans s WHERE s.execution_id >= (SELECT r.floor FROM recent r) AND s.execution_id <> $1
            UNION ALL
            -- One by one through the index, whatever the planner expects of their number.
            SELECT s.* FROM (SELECT u.id FROM unusual u UNION SELECT a.id FROM alike a) older
            CROSS JOIN LATERAL (SELECT s.* FROM trace_spans s WHERE s.execution_id = older.id OFFSET 0) s
            WHERE older.id < (SELECT r.floor FROM recent r) AND older.id <> $1
        ), once AS (
            SELECT DISTINCT ON (s.execution_id, s.span_id)
                s.execution_id, s.span_id, s.service, s.operation, s.status, s.error_type, s.started_at, s.completed_at
            FROM spans s
            ORDER BY s.execution_id, s.span_id, s.completed_at IS NULL, CASE WHEN s.completed_at IS NULL THEN -s.id ELSE s.id END
        ), failures AS (
            SELECT DISTINCT ON (o.execution_id) o.execution_id, concat(o.service, ': ', o.operation) AS point, o.error_type
            FROM once o WHERE o.status IN ('failed', 'timeout', 'lost')
            ORDER BY o.execution_id, o.completed_at, o.started_at DESC, o.span_id
        ), sequences AS (
            SELECT o.execution_id, (array_agg(hashtext(o.operation) ORDER BY o.started_at, o.operation COLLATE "C", o.span_id))[1:200] AS tokens
            FROM once o GROUP BY o.execution_id
        ), weighed AS (
            SELECT q.execution_id, q.tokens, (1 + CASE
                WHEN f.execution_id IS NULL AND w.point IS NULL THEN 1.0
                WHEN f.execution_id IS NULL OR w.point IS NULL THEN 0.0
                ELSE ((f.point = w.point)::integer + (f.error_type IS NOT DISTINCT FROM w.error_type
                    AND (f.point = w.point OR f.error_type IS NOT NULL))::integer) / 2.0 END)::double precision / 2 AS factor
            FROM sequences q LEFT JOIN failures f USING (execution_id) LEFT JOIN own w ON true
        ), numbered AS (
            SELECT w.*, row_number() OVER (PARTITION BY w.tokens ORDER BY w.factor DESC, w.execution_id DESC) AS number
            FROM weighed w
        ), shapes AS (
            SELECT n.tokens, greatest(cardinality(n.tokens), cardinality(mine)) AS longer, max(n.factor) AS best,
                array_agg(n.execution_id ORDER BY n.number) AS executions, array_agg(n.factor ORDER BY n.number) AS factors,
                (SELECT count(*) FROM (
                    SELECT t.token, row_number() OVER (PARTITION BY t.token) FROM unnest(n.tokens) t (token)
                    INTERSECT
                    SELECT t.token, row_number() OVER (PARTITION BY t.token) FROM unnest(mine) t (token)
                ) shared) AS shared
            FROM numbered n WHERE n.number <= wanted GROUP BY n.tokens
        )
        -- A sequence is no more alike than the operations that both have: most promising first, until none can be better.
        SELECT h.*, h.best * (h.shared::double precision / h.longer) AS bound FROM shapes h
        ORDER BY bound DESC, h.executions[1] DESC
    LOOP
        EXIT WHEN kth > shape.bound;
        theirs := shape.tokens;
        longer := shape.longer;
        head := 0;
        tail := 0;
        WHILE head < least(cardinality(mine), cardinality(theirs)) AND mine[head + 1] = theirs[head + 1] LOOP
            head := head + 1;
        END LOOP;
        WHILE tail < least(cardinality(mine), cardinality(theirs)) - head
            AND mine[cardinality(mine) - tail] = theirs[cardinality(theirs) - tail] LOOP
            tail := tail + 1;
        END LOOP;
        rows_left := cardinality(mine) - head - tail;
        columns_left := cardinality(theirs) - head - tail;
        -- Levenshtein's distance of what is left between, row by row.
        above := ARRAY(SELECT generate_series(0, columns_left));
        FOR i IN 1..rows_left LOOP
            token := mine[head + i];
            this := above;
            this[1] := i;
            FOR j IN 1..columns_left LOOP
                this[j + 1] := least(above[j + 1] + 1, this[j] + 1, above[j] + (token <> theirs[head + j])::integer);
            END LOOP;
            above := this;
        END LOOP;
        ids := ids || shape.executions;
        scores := scores || ARRAY(
            SELECT (longer - above[columns_left + 1])::double precision / longer * f FROM unnest(shape.factors) f (f)
        );
        kth := (SELECT u.score FROM unnest(scores) u (score) ORDER BY u.score DESC OFFSET wanted - 1 LIMIT 1);
    END LOOP;
    RETURN QUERY
    SELECT best.id, best.score, coalesce(failure.status, whole.status)::varchar, whole.took, failure.point
    FROM (
        SELECT u.id, u.score FROM unnest(ids, scores) u (id, score) ORDER BY u.score DESC, u.id DESC LIMIT wanted
    ) best CROSS JOIN LATERAL (
        SELECT CASE WHEN bool_or(s.completed_at IS NULL) THEN 'started' ELSE 'completed' END AS status,
            {_milliseconds("(max(s.completed_at) - min(s.started_at))")} AS took
        FROM (
            SELECT DISTINCT ON (s.span_id) s.* FROM trace_spans s WHERE s.execution_id = best.id
            ORDER BY s.span_id, s.completed_at IS NULL, CASE WHEN s.completed_at IS NULL THEN -s.id ELSE s.id END
        ) s
    ) whole LEFT JOIN LATERAL (
        SELECT s.status, concat(s.service, ': ', s.operation) AS point FROM trace_spans s
        WHERE s.execution_id = best.id AND s.status IN ('failed', 'timeout', 'lost')
        ORDER BY s.completed_at, s.started_at DESC, s.span_id LIMIT 1
    ) failure ON true
    ORDER BY best.score DESC, best.id DESC;
END
$body$
"""

FUNCTIONS = {
    "diagnose_execution_trace(bigint)": DIAGNOSE,
    "identify_root_cause(bigint)": ROOT_CAUSE,
    "find_similar_traces(bigint, integer)": SIMILAR,
}


def make(apps, schema_editor):
    postgres = schema_editor.connection.vendor == "postgresql"
    for text in (WATERFALL, *((HEALTH_POSTGRES, *FUNCTIONS.values()) if postgres else (HEALTH_SQLITE,))):
        schema_editor.execute(text, params=None)


def unmake(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        for name in FUNCTIONS:
            schema_editor.execute(f"DROP FUNCTION {name}")
    schema_editor.execute("DROP VIEW trace_spans_health")
    schema_editor.execute("DROP VIEW trace_waterfall")


class Migration(migrations.Migration):
    dependencies = [("tracing", "0001_spans")]

    operations = [migrations.RunPython(make, unmake)]
