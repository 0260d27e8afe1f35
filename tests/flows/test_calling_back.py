"""What a container is told of the platform, and the token that it proves itself with."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote
from uuid import UUID

import pytest
from django.conf import LazySettings

from jobs.clock import Now
from jobs.logs.reader import read_bytes
from jobs.models import Attempt, Job
from jobs.preview import preview
from jobs.spec import parse_spec
from jobs.states import AttemptState
from jobs.tokens import GRACE, attempt_of, token_of
from jobs.verdicts import Verdict
from tests.flows.conftest import make_attempt
from tracing.identity import Parent, span_id_of
from workers.calling_back import Told, place_of, service_url, told
from workers.claims import claim
from workers.container import container_spec
from workers.drivers.process.driver import ProcessDriver
from workers.ending import Ending, finish
from workers.models import Worker
from workers.runner import Run

TRACE = Parent(0xABCDEF0123456789ABCDEF0123456789, 7)
URL = "http://127.0.0.1:8080"
VERDICT = Verdict("exit_code", "It ended with 1.", (), "Look.")
OTLP = {f"OTEL_EXPORTER_OTLP_{name}" for name in ("ENDPOINT", "PROTOCOL", "HEADERS")}
OURS = {"TOWLINE_URI", "TOWLINE_TASK_ID", "TOWLINE_TOKEN"}


def wish(settings: LazySettings, **wanted: Any) -> None:
    settings.TOWLINE = settings.TOWLINE.model_copy(update={"ENABLE_DB_TRACING": True, **wanted})


@pytest.fixture
def attempt() -> Attempt:
    made = make_attempt()
    return traced(made)


def traced(attempt: Attempt) -> Attempt:
    Job.objects.filter(pk=attempt.job_id).update(traceparent=str(TRACE))
    Attempt.objects.filter(pk=attempt.pk).update(runtime="process")
    return Attempt.objects.select_related("job").get(pk=attempt.pk)


def environment(attempt: Attempt, known: Told) -> dict[str, str]:
    return dict(container_spec(attempt.job.wanted, "tl", attempt.job_id, attempt.number, "x", told=known).env)


def test_a_container_finds_its_place_in_the_trace_and_where_to_send_spans(
    attempt: Attempt, settings: LazySettings
) -> None:
    wish(settings, TOWLINE_SERVICE_URL=f"{URL}/")
    found = environment(attempt, told(attempt, "bridge", ()))
    place = Parent.parse(found["TRACEPARENT"])
    assert place == TRACE.at(span_id_of(attempt.job_id, attempt.number, "execute")) == place_of(attempt)
    assert found["TOWLINE_URI"] == URL
    assert UUID(found["TOWLINE_TASK_ID"]) == attempt.job_id
    assert attempt_of(found["TOWLINE_TOKEN"]) == attempt
    assert found["OTEL_EXPORTER_OTLP_ENDPOINT"] == f"{URL}/api/v1/otlp"
    assert found["OTEL_EXPORTER_OTLP_PROTOCOL"] == "http/protobuf"
    assert unquote(found["OTEL_EXPORTER_OTLP_HEADERS"]) == f"authorization=Bearer {found['TOWLINE_TOKEN']}"


def test_the_token_is_a_secret_of_the_container(attempt: Attempt, settings: LazySettings) -> None:
    wish(settings, TOWLINE_SERVICE_URL=URL)
    known = told(attempt, "bridge", ())
    spec = container_spec(attempt.job.wanted, "tl", attempt.job_id, 1, "x", told=known)
    token = token_of(attempt)
    assert {name for name, value in spec.env.items() if token in unquote(value)} == spec.secret_env
    assert token not in repr(spec) + repr(known)
    shown = preview(parse_spec({"image": "busybox", "command": ["true"], "runtime": "docker"}))
    assert "towline_attempt_" not in str(shown)


def test_without_tracing_a_container_is_told_nothing(attempt: Attempt, settings: LazySettings) -> None:
    wish(settings, TOWLINE_SERVICE_URL=URL, ENABLE_DB_TRACING=False)
    assert set(environment(attempt, told(attempt, "bridge", ()))) == {"TOWLINE_JOB_ID", "TOWLINE_ATTEMPT"}


def test_without_an_address_it_is_told_its_place_alone(attempt: Attempt, settings: LazySettings) -> None:
    wish(settings, TOWLINE_SERVICE_URL=None)
    assert set(told(attempt, "bridge", ()).offered) == {"TRACEPARENT"}
    assert not told(attempt, "bridge", ()).own


def test_containers_whose_spans_are_not_wanted_are_told_of_no_address(settings: LazySettings) -> None:
    wish(settings, TOWLINE_SERVICE_URL=URL, TOWLINE_TRACE_SERVICES=["job", "container"])
    assert service_url("process", "bridge") == URL
    wish(settings, TOWLINE_TRACE_SERVICES=["job"])
    assert service_url("process", "bridge") == ""


@pytest.mark.parametrize(
    ("runtime", "network", "url"),
    [
        ("process", "bridge", URL), ("process", "none", ""), ("docker", "bridge", ""),
        ("kubernetes", "bridge", "http://web.towline:8000"),
    ],
)  # fmt: skip
def test_an_address_is_told_to_those_who_reach_it(settings: LazySettings, runtime: str, network: str, url: str) -> None:
    wish(settings, TOWLINE_SERVICE_URL=URL, TOWLINE_KUBERNETES_SERVICE_URL="http://web.towline:8000/")
    assert service_url(runtime, network) == url


def test_docker_containers_may_have_an_address_of_their_own(settings: LazySettings) -> None:
    wish(settings, TOWLINE_SERVICE_URL=URL, TOWLINE_DOCKER_SERVICE_URL="http://172.17.0.1:8000/")
    assert [service_url(runtime, "bridge") for runtime in ("docker", "process")] == ["http://172.17.0.1:8000", URL]
    assert service_url("docker", "none") == ""


def test_what_the_job_says_of_its_own_tracing_holds(attempt: Attempt, settings: LazySettings) -> None:
    """Its exporter's collector must never be sent our token; what is ours by name stays ours."""
    wish(settings, TOWLINE_SERVICE_URL=URL)
    own = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://theirs", "TRACEPARENT": "own", "TOWLINE_TOKEN": "own"}
    attempt.job.spec = {**attempt.job.spec, "env": own}
    found = environment(attempt, told(attempt, "bridge", own))
    assert not OTLP & set(found)
    assert (found["TRACEPARENT"], found["TOWLINE_TOKEN"]) == ("own", token_of(attempt))


def test_a_token_is_of_one_attempt(attempt: Attempt) -> None:
    other = traced(make_attempt())
    assert attempt_of(token_of(attempt)) == attempt
    named, signature = token_of(other).rsplit(".", 1)
    assert attempt_of(f"{token_of(attempt).rsplit('.', 1)[0]}.{signature}") is None
    assert attempt_of(f"{named}.") is None and attempt_of(named) is None and attempt_of("") is None


def test_a_token_of_before_the_key_was_changed_holds_and_is_masked(
    attempt: Attempt, driver: ProcessDriver, settings: LazySettings
) -> None:
    wish(settings, TOWLINE_SERVICE_URL=URL)
    before = token_of(attempt)
    settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "x" * 50
    assert attempt_of(before) == attempt
    run = Run(attempt, driver)
    run.grip.know({})
    assert run.grip.mask.hide_text(f"{before} {token_of(attempt)}") == "*** ***"
    settings.SECRET_KEY_FALLBACKS = []
    assert attempt_of(before) is None


def test_a_token_holds_a_moment_longer_than_its_attempt(attempt: Attempt) -> None:
    token = token_of(attempt)
    worker = Worker.objects.get(name=attempt.worker)
    held = claim(attempt.pk, worker.name, worker.boot)
    assert held and finish(held, held.fence, Ending(AttemptState.FAILED, 1, VERDICT))
    assert attempt_of(token) == attempt
    Attempt.objects.filter(pk=attempt.pk).update(finished_at=Now() - GRACE)
    assert attempt_of(token) is None


def test_what_a_job_prints_of_its_token_is_masked(driver: ProcessDriver, settings: LazySettings) -> None:
    wish(settings, TOWLINE_SERVICE_URL=URL)
    attempt = traced(make_attempt(command=["sh", "-c", "env; echo $TOWLINE_TOKEN | base64"]))
    worker = Worker.objects.get(name=attempt.worker)
    held = claim(attempt.pk, worker.name, worker.boot)
    assert held
    Run(held, driver).go()
    output = b"".join(read_bytes(attempt.pk)).decode()
    assert "TOWLINE_TOKEN=***\n" in output
    assert "OTEL_EXPORTER_OTLP_HEADERS=authorization=Bearer%20***\n" in output
    assert output.count("towline_attempt_") == 0 and token_of(attempt).rsplit(".")[1] not in output
    assert output.splitlines()[-1].startswith("***")
