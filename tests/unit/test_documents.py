"""The generated files are what their makers write now, and the makers do not guess."""

from __future__ import annotations

import json
import re
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from jobs.spec import JobSpec
from jobs.states import ATTEMPT_MOVES, JOB_MOVES
from jobs.verdicts import KIND_OF
from towline.documents import DOCUMENTS, stale_documents, write_documents
from towline.settings.environment import REPOSITORY, Environment


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return dict(json.loads(DOCUMENTS["platform/towline/openapi.json"]()))


def operation(schema: dict[str, Any], method: str, path: str) -> dict[str, Any]:
    return dict(schema["paths"][f"/api/v1{path}"][method])


def test_the_committed_files_are_up_to_date() -> None:
    assert stale_documents() == [], "run `make docs`"


def test_the_check_names_what_is_stale_and_the_remedy(tmp_path: Path) -> None:
    call_command("document", "--into", str(tmp_path), stdout=StringIO())
    call_command("document", "--check", "--into", str(tmp_path))
    (tmp_path / "docs/states.md").write_text("old")
    (tmp_path / "docs/verdicts.md").unlink()
    with pytest.raises(CommandError, match=r"stale: docs/states\.md, docs/verdicts\.md\. Run `make docs`"):
        call_command("document", "--check", "--into", str(tmp_path))


def test_writing_writes_only_what_is_stale(tmp_path: Path) -> None:
    assert write_documents(tmp_path) == list(DOCUMENTS)
    assert write_documents(tmp_path) == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_makers_write_the_same_every_time(name: str) -> None:
    first = DOCUMENTS[name]()
    assert first == DOCUMENTS[name]()
    assert str(REPOSITORY) not in first
    assert first.endswith("\n")


def test_every_setting_has_a_meaning_and_a_row() -> None:
    page = DOCUMENTS["docs/settings.md"]()
    for name, field in Environment.model_fields.items():
        assert field.description, name
        assert f"| `{name}` |" in page


def test_every_move_is_drawn() -> None:
    page = DOCUMENTS["docs/states.md"]()
    for moves in (JOB_MOVES, ATTEMPT_MOVES):
        for origin, targets in moves.items():
            for target in targets:
                assert f"    {origin.value} --> {target.value}\n" in page


def test_every_verdict_has_a_row() -> None:
    page = DOCUMENTS["docs/verdicts.md"]()
    for code in KIND_OF:
        assert f"| `{code}` | " in page


def test_the_body_of_a_submit_is_the_spec(schema: dict[str, Any]) -> None:
    body = operation(schema, "post", "/jobs/")["requestBody"]["content"]["application/json"]["schema"]
    assert body == {"$ref": "#/components/schemas/JobSpec"}
    described = schema["components"]["schemas"]["JobSpec"]
    assert set(described["properties"]) == set(JobSpec.model_fields)
    assert (described["additionalProperties"], described["required"]) == (False, ["image"])


def test_a_job_reads_back_with_its_spec(schema: dict[str, Any]) -> None:
    assert set(JobSpec.model_fields) <= set(schema["components"]["schemas"]["Job"]["properties"])


def test_both_ways_in_are_described(schema: dict[str, Any]) -> None:
    schemes = schema["components"]["securitySchemes"]
    assert schemes["token"] == {"type": "http", "scheme": "bearer"}
    assert schemes["cookieAuth"] == {"type": "apiKey", "in": "cookie", "name": "towline_session"}
    assert operation(schema, "get", "/jobs/")["security"] == [{"token": []}, {"cookieAuth": []}]


def test_the_log_comes_in_three_forms(schema: dict[str, Any]) -> None:
    found = operation(schema, "get", "/jobs/{id}/logs/")["responses"]["200"]["content"]
    assert set(found) == {"text/plain", "application/json", "text/event-stream"}


def test_every_error_is_a_problem_document_but_otlps(schema: dict[str, Any]) -> None:
    otlp = "/api/v1/otlp/v1/traces"
    statuses = schema["paths"][otlp]["post"]["responses"]["default"]
    assert list(statuses["content"]) == ["application/x-protobuf", "application/json"]
    for path, operations in schema["paths"].items():
        if path == otlp:
            continue
        for method, described in operations.items():
            errors = {status: answer for status, answer in described["responses"].items() if not status.startswith("2")}
            assert "default" in errors, (method, path)
            for answer in errors.values():
                assert list(answer["content"]) == ["application/problem+json"], (method, path)


@pytest.mark.parametrize(
    "page",
    sorted({*REPOSITORY.glob("*.md"), *REPOSITORY.glob("[cd]*/**/*.md")}),
    ids=lambda page: str(page.relative_to(REPOSITORY)),
)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / target).exists(), target
