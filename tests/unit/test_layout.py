"""The house stays as it was drawn: what lies where, how big things are, and who alone may write a state."""

from __future__ import annotations

import ast
import re
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.apps import apps
from django.db.migrations.loader import MigrationLoader

ROOT = Path(__file__).resolve().parents[2]
APPS = ("jobs", "workers", "tracing")
SOURCES = (*APPS, "platform")
TOP = {
    "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "Makefile", "README.md", "benchmarks", "charts", "docker", "docs", "jobs",
    "manage.py", "platform", "pyproject.toml", "requirements", "tests", "tracing", "workers",
}  # fmt: skip
MADE = {"build", "dist", "__pycache__"}
FILE_LINES = 300
FUNCTION_LINES = 40
MEDIAN_LINES = 8
# What may be longer, and why: `file` or `file:function`, then the reason.
LONG_FILES: dict[str, str] = {}
LONG_FUNCTIONS: dict[str, str] = {}
SAYS_NOTHING = re.compile(r"(utils?|helpers?|commons?|misc|base\d+|tools?)(\.py)?")


def python_files(*folders: str) -> Iterator[Path]:
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if "migrations" not in path.parts:
                yield path


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def functions() -> Iterator[tuple[str, int]]:
    """Each function's `file:name`, and how many lines its code has: from `def` to its end, without the docstring."""
    for path in python_files(*SOURCES):
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{named(path)}:{node.name}", length(node)


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    words = function.body[0] if ast.get_docstring(function) else None
    said = (words.end_lineno or words.lineno) - words.lineno + 1 if words else 0
    return (function.end_lineno or function.lineno) - function.lineno + 1 - said


def python(code: str) -> str:
    """What a plain interpreter, started in the repository, prints."""
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    return run.stdout.strip()


@pytest.mark.parametrize("folder", ["platform", "docker", "charts", "requirements", "docs"])
def test_a_folder_that_is_no_package_never_becomes_one(folder: str) -> None:
    assert not (ROOT / folder / "__init__.py").exists()


def test_platform_is_pythons_own() -> None:
    assert Path(python("import platform; print(platform.__file__)")) == Path(ast.__file__).with_name("platform.py")


def test_docker_is_the_sdk() -> None:
    assert python("from docker import DockerClient; print(DockerClient.__module__)") == "docker.client"


def test_manage_puts_platform_on_the_path_and_nothing_else() -> None:
    called = {ast.unparse(node.func) for node in ast.walk(tree(ROOT / "manage.py")) if isinstance(node, ast.Call)}
    path = {"sys.path.insert", "str", "Path", "Path(__file__).resolve"}
    assert called == path | {"os.environ.setdefault", "execute_from_command_line"}


def test_the_top_level_holds_what_it_should() -> None:
    found = {path.name for path in ROOT.iterdir() if not path.name.startswith(".")}
    assert {name for name in found - MADE if not name.endswith(".egg-info")} == TOP


def test_files_are_short() -> None:
    lines = {named(path): len(path.read_text(encoding="utf-8").splitlines()) for path in python_files(*SOURCES)}
    assert {name for name, count in lines.items() if count > FILE_LINES} == set(LONG_FILES)


def test_functions_are_short(capsys: pytest.CaptureFixture[str]) -> None:
    lines = list(functions())
    assert {name for name, count in lines if count > FUNCTION_LINES} == set(LONG_FUNCTIONS)
    median = statistics.median(count for _, count in lines)
    with capsys.disabled():
        print(f"\n{len(lines)} functions, median {median:g} lines, longest {max(count for _, count in lines)}")  # noqa: T201
    assert median <= MEDIAN_LINES


def test_every_module_is_named_after_its_idea() -> None:
    parts = {part for path in python_files(*SOURCES, "tests") for part in path.relative_to(ROOT).parts}
    assert [part for part in parts if SAYS_NOTHING.fullmatch(part)] == []


def state_writes(module: ast.Module) -> Iterator[int]:
    """Lines that set a `state` past `move`: by a queryset, by an attribute, or by SQL."""
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            names = {keyword.arg for keyword in node.keywords}
            if node.func.attr in {"update", "create", "get_or_create", "update_or_create"} and "state" in names:
                yield node.lineno
            if node.func.attr == "bulk_update":
                yield node.lineno
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AugAssign) else []
        )
        if any(isinstance(target, ast.Attribute) and target.attr == "state" for target in targets):
            yield node.lineno  # type: ignore[attr-defined]  # an assignment has a line
        if isinstance(node, ast.Constant) and re.match(r"\s*UPDATE\s", str(node.value)):
            yield node.lineno


def test_only_move_writes_a_state() -> None:
    found = {named(path): list(state_writes(tree(path))) for path in python_files(*SOURCES)}
    assert {name for name, lines in found.items() if lines} == {"jobs/moves.py"}


@pytest.mark.parametrize(
    "code",
    [
        "Job.objects.filter(pk=1).update(state='failed')",
        "job.state = 'failed'",
        "Job.objects.create(state='failed')",
        "Job.objects.bulk_update(jobs, ['state'])",
        "cursor.execute('UPDATE jobs_job SET state = 1')",
    ],
)
def test_the_search_for_state_writes_finds_them(code: str) -> None:
    assert list(state_writes(ast.parse(code))) == [1]


def test_every_table_says_when_a_row_was_made_and_changed() -> None:
    for app in ("jobs", "workers"):  # the trace store's columns are a contract of their own
        for model in apps.get_app_config(app).get_models():
            fields = {field.name for field in model._meta.get_fields()}
            assert {"created_at", "updated_at"} <= fields, model


def test_every_migration_can_be_taken_back() -> None:
    ours = [migration for (app, _), migration in MigrationLoader(None).disk_migrations.items() if app in APPS]
    assert ours
    for migration in ours:
        for operation in migration.operations:
            assert operation.reversible, (migration, operation)
