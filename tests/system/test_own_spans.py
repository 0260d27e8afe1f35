"""Spans that a job's program sends itself, with OpenTelemetry's own SDK and nothing but the environment that it finds."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.stack import RunningStack, eventually, run_stack
from tests.system.cluster import ground
from tracing.identity import Parent

PROGRAM = """
import os
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter()))
tracer = provider.get_tracer("job")
place = TraceContextTextMapPropagator().extract({"traceparent": os.environ["TRACEPARENT"]})
with tracer.start_as_current_span("train", context=place):
    try:
        with tracer.start_as_current_span("epoch", attributes={"loss": 0.5, "names": ["a", "b"]}):
            raise ValueError("diverged")
    except ValueError:
        print("caught")
provider.shutdown()
print("token", os.environ["TOWLINE_TOKEN"])
"""
BY_HAND = """
import json, os, urllib.request
_, trace_id, span_id, _ = os.environ["TRACEPARENT"].split("-")
span = {"name": "by hand", "traceId": trace_id, "spanId": "00000000000000aa", "parentSpanId": span_id}
span |= {"startTimeUnixNano": "1000000000", "endTimeUnixNano": "1005000000"}
request = urllib.request.Request(
    os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] + "/v1/traces",
    json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).encode(),
    {"Content-Type": "application/json", "Authorization": "Bearer " + os.environ["TOWLINE_TOKEN"]},
)
with urllib.request.urlopen(request) as answer:
    print(answer.status, answer.read().decode())
"""
ROWS = """
import json
from tracing.models import Span
named = Span.objects.filter(job_id={job!r}).order_by("started_at")
print(json.dumps({{row.operation: {{**vars(row), "_state": None}} for row in named}}, default=str))
"""
ROOM = {"resources": {"cpus": 0.5, "memory": "256Mi"}}


@pytest.fixture(scope="module")
def traced() -> Iterator[RunningStack]:
    with run_stack("process", ENABLE_DB_TRACING="true") as running:
        yield running


def rows(stack: RunningStack, job: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The job's spans, by operation."""
    done = stack.manage("shell", "-v", "0", "-c", ROWS.format(job=job["id"]))
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def finished_rows(stack: RunningStack, job: dict[str, Any], *wanted: str) -> dict[str, dict[str, Any]]:
    def look() -> dict[str, dict[str, Any]]:
        found = rows(stack, job)
        return found if all(found.get(name, {}).get("completed_at") for name in wanted) else {}

    return eventually(look)


def test_a_program_with_the_sdk_needs_nothing_but_its_environment(traced: RunningStack) -> None:
    job = traced.run(sys.executable, "-c", PROGRAM, labels={"model": "bert"}, **ROOM)
    assert (job["state"], traced.output(job)) == ("succeeded", b"caught\ntoken ***\n")
    found = finished_rows(traced, job, "train", "epoch", "execute")
    execute, train, epoch = (found[name] for name in ("execute", "train", "epoch"))
    assert execute["trace_id"] == train["trace_id"] == epoch["trace_id"]
    assert (train["parent_span_id"], epoch["parent_span_id"]) == (execute["span_id"], train["span_id"])
    assert train["execution_id"] == epoch["execution_id"] == execute["execution_id"]
    assert (epoch["status"], epoch["error_type"], epoch["error_message"]) == (
        "failed",
        "ValueError",
        "ValueError: diverged",
    )
    assert epoch["metadata"]["attributes"]["names"] == ["a", "b"]
    assert (train["service"], train["model_id"]) == ("container", "bert")


def test_a_program_without_one_sends_json(traced: RunningStack) -> None:
    job = traced.run(sys.executable, "-c", BY_HAND, **ROOM)
    assert (job["state"], traced.output(job)) == ("succeeded", b"200 {}\n")
    found = finished_rows(traced, job, "by hand", "execute")
    assert (found["by hand"]["parent_span_id"], found["by hand"]["duration_ms"]) == (found["execute"]["span_id"], 5)


def test_a_body_of_no_stated_length_is_read(traced: RunningStack) -> None:
    """As Node's exporter sends it."""
    known: dict[str, Any] = {"traceId": "0" * 31 + "1", "spanId": "0" * 15 + "1", "name": "chunk", "endTimeUnixNano": 1}
    known["attributes"] = [{"key": "job_id", "value": {"stringValue": "chunked"}}]
    body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [known]}]}]}).encode()
    answer = traced.http.post(
        "/otlp/v1/traces", content=iter([body[:50], body[50:]]), headers={"Content-Type": "application/json"}
    )
    assert (answer.status_code, answer.json()) == (200, {})
    assert "chunk" in finished_rows(traced, {"id": "chunked"}, "chunk")


def test_what_cannot_be_sent_never_fails_the_program(traced: RunningStack) -> None:
    """Refused for want of a token, at the same address."""
    broken = PROGRAM.replace(
        "import os\n",
        "import os\nos.environ['OTEL_EXPORTER_OTLP_HEADERS'] = 'authorization=Bearer%20towline_attempt_x'\n",
        1,
    )
    job = traced.run(sys.executable, "-c", broken, **ROOM)
    assert job["state"] == "succeeded"
    assert b"401" in traced.output(job, stream="stderr")
    assert "train" not in finished_rows(traced, job, "execute")


# As a shell in a small image can.
SHELL = """
IFS=- read _ trace_id span_id _ <<EOF
$TRACEPARENT
EOF
span='{"name": "by hand", "traceId": "'$trace_id'", "spanId": "00000000000000aa", "parentSpanId": "'$span_id'"'
span="$span, \\"startTimeUnixNano\\": \\"1000000000\\", \\"endTimeUnixNano\\": \\"1005000000\\"}"
wget -q -O - --header "Authorization: Bearer $TOWLINE_TOKEN" --header "Content-Type: application/json" \\
  --post-data '{"resourceSpans": [{"scopeSpans": [{"spans": ['"$span"']}]}]}' "$OTEL_EXPORTER_OTLP_ENDPOINT/v1/traces"
echo " $TOWLINE_URI"
wget -q -O - "$TOWLINE_URI/admin/login/" 2>&1 || true
"""


@pytest.mark.docker
def test_a_container_of_this_machines_engine_sends_its_spans_and_reaches_nothing_else(
    docker_stack: RunningStack,
) -> None:
    with run_stack("docker", ENABLE_DB_TRACING="true") as running:
        job = running.run("sh", "-c", SHELL)
        output = running.output(job).decode()
        assert job["state"] == "succeeded", output
        taken, url, *rest = output.split(maxsplit=2)
        assert (taken, "404" in rest[0]) == ("{}", True), output
        assert url != running.url and httpx.get(f"{url}/api/v1/otlp/v1/traces").status_code in {401, 405}
        assert {httpx.get(url + path).status_code for path in ("/", "/api/v1/jobs/", "/admin/", "/healthz/live")} == {
            404
        }
        found = finished_rows(running, job, "by hand", "execute")
        assert (found["by hand"]["parent_span_id"], found["by hand"]["duration_ms"]) == (found["execute"]["span_id"], 5)


def test_a_token_ends_with_its_attempt(traced: RunningStack, tmp_path: Any) -> None:
    kept = tmp_path / "token"
    job = traced.run("sh", "-c", f'printf %s "$TOWLINE_TOKEN" > {kept}')
    assert job["state"] == "succeeded"
    token = kept.read_text()
    assert token.startswith("towline_attempt_")
    assert token not in json.dumps(traced.job(job["id"])) + traced.http.get(f"/jobs/{job['id']}/attempts/").text
    logs = [path.read_text(errors="replace") for path in (traced.data_dir / "logs").glob("*.log")]
    assert token not in "".join(logs)
    assert traced.http.get("/jobs/", headers={"Authorization": f"Bearer {token}"}).status_code == 401


def test_a_pod_has_its_token_as_a_secret() -> None:
    told = {"ENABLE_DB_TRACING": "true", "TOWLINE_KUBERNETES_SERVICE_URL": "http://towline.invalid"}
    with ground() as field, run_stack("kubernetes", **field.environment, **told) as running:
        running.image = field.image
        job = running.submit("sh", "-c", "env; sleep 60")
        output = eventually(lambda: (text := running.output(job).decode()) and "TOWLINE_TASK_ID" in text and text)
        (pod,) = field.pods(job)
        running.http.post(f"/jobs/{job['id']}/cancel/")
        running.wait(job)
    found = dict(line.split("=", 1) for line in output.splitlines() if "=" in line)
    assert (found["TOWLINE_URI"], found["TOWLINE_TOKEN"]) == ("http://towline.invalid", "***")
    assert found["OTEL_EXPORTER_OTLP_HEADERS"] == "authorization=Bearer%20***"
    assert Parent.parse(found["TRACEPARENT"])
    assert "towline_attempt_" not in json.dumps(pod)


def test_without_tracing_a_program_finds_nothing_of_it(stack: RunningStack) -> None:
    output = stack.output(stack.run("env")).decode()
    assert not [line for line in output.splitlines() if line.startswith(("OTEL_", "TRACEPARENT", "TOWLINE_TOKEN"))]
