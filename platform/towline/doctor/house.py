"""This process and this machine: Python, SQLite's library, settings, the data folder."""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys

from django.conf import settings
from django.core import checks
from django.db import connection

from jobs.logs.vault import Unreadable, opened
from jobs.models import Attempt
from jobs.quantities import human_bytes

from .finding import Check, Finding, failed, fine, warn

PYTHON_LEAST = (3, 11)
SQLITE_LEAST = (3, 31)
# Two processes that write and checkpoint at the same moment can lose a commit: https://sqlite.org/wal.html#walresetbug
SQLITE_WITHOUT_RESET_BUG = (3, 51, 3)
SQLITE_BACKPORTS = ((3, 44, 6), (3, 50, 7))
DISK_LEAST_BYTES, DISK_SPARE_BYTES = 256 * 1024**2, 2 * 1024**3


def python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < PYTHON_LEAST:
        return failed("python", version, "Install Python 3.11 or newer and make the environment anew.")
    return fine("python", version)


def sqlite() -> Finding:
    if connection.vendor != "sqlite":
        return fine("sqlite", f"not used: the database is {connection.vendor}")
    return judge_sqlite(sqlite3.sqlite_version)


def judge_sqlite(version: str) -> Finding:
    """By the version of the library, like `3.40.1`."""
    numbers = tuple(int(part) for part in version.split("."))
    if numbers < SQLITE_LEAST:
        return failed("sqlite", version, "Install SQLite 3.31 or newer, or use PostgreSQL (DATABASE_URL).")
    if numbers < SQLITE_WITHOUT_RESET_BUG and numbers not in SQLITE_BACKPORTS:
        return warn(
            "sqlite",
            f"{version} has the WAL-reset bug (mended in 3.51.3): very rarely, concurrent checkpoints corrupt the file",
            "Fine for trying out. For real work install SQLite 3.51.3 or newer, or use PostgreSQL (DATABASE_URL).",
        )
    return fine("sqlite", version)


def mode() -> Finding:
    """Production mode is held to Django's own deployment checks; the environment has refused the worst already."""
    environment = settings.TOWLINE
    if environment.TOWLINE_MODE != "production":
        key = "a secret key of the environment" if environment.TOWLINE_SECRET_KEY else "the data folder's secret key"
        return fine("settings", f"development mode, {key}")
    found = checks.run_checks(include_deployment_checks=True)
    if not found:
        return fine("settings", "production mode, deployment checks pass")
    worst = failed if any(message.level >= checks.ERROR for message in found) else warn
    said = ", ".join(str(message.id) for message in found)
    return worst("settings", f"production mode, deployment checks: {said}", "Read `manage.py check --deploy`.")


def disk() -> Finding:
    folder = settings.TOWLINE.TOWLINE_DATA_DIR
    if not os.access(folder, os.W_OK):
        return failed("data folder", f"{folder} can't be written", "Give it to this user, or set TOWLINE_DATA_DIR.")
    free = shutil.disk_usage(folder).free
    said = f"{folder}, {human_bytes(free)} free"
    remedy = "Make room there, or set TOWLINE_DATA_DIR: database, logs and process jobs live in it."
    if free < DISK_LEAST_BYTES:
        return failed("data folder", said, remedy)
    return fine("data folder", said) if free >= DISK_SPARE_BYTES else warn("data folder", said, remedy)


def log_storage() -> Finding:
    """By the newest log in it: a folder that is not the same for all processes shows there."""
    where = settings.TOWLINE.TOWLINE_LOG_STORAGE or "in the data folder"
    newest = Attempt.objects.filter(log_dropped_at=None).exclude(log_object="").order_by("-log_packed_at").first()
    if newest is None and not settings.TOWLINE.packs_logs:
        remedy = "Set TOWLINE_LOG_STORAGE to a bucket, or to a folder that all machines share."
        return warn("log storage", "not set: finished logs stay in the database", remedy)
    if newest is None:
        return fine("log storage", f"{where}, nothing in it yet")
    try:
        opened(newest)
    except Unreadable as error:
        return failed("log storage", str(error), "Logs in it can't be shown; mend that, nothing is lost by waiting.")
    return fine("log storage", f"{where}, the newest log in it can be read")


CHECKS = (
    Check("python", python),
    Check("sqlite", sqlite),
    Check("settings", mode),
    Check("data folder", disk),
    Check("log storage", log_storage),
)
