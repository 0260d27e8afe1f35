"""Is the web process alive, and is it of use? Live asks nobody; ready asks all parts and names what fails; serving asks only
what web can't answer without. Jobs are submitted, found and run without Redis and a broker, only more slowly.
"""

from __future__ import annotations

from collections.abc import Callable

import redis
from django.conf import settings
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from kombu import Connection
from redis.backoff import NoBackoff
from redis.retry import Retry


def live(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"status": "ok"})


def ready(request: HttpRequest) -> JsonResponse:
    """200 when all parts answer, else 503; `parts` says which and why. `degraded`: web serves on without those."""
    return _answer(PARTS)


def serving(request: HttpRequest) -> JsonResponse:
    """For whoever sends requests to web: 503 only without a part that each request takes."""
    return _answer(NEEDED)


def _answer(asked: dict[str, Callable[[], None]]) -> JsonResponse:
    parts = {name: _complaint(ask) for name, ask in asked.items()}
    failing = {name for name, complaint in parts.items() if complaint}
    status = "failing" if failing & NEEDED.keys() else "degraded" if failing else "ok"
    body = {"status": status, "parts": {name: text or "ok" for name, text in parts.items()}}
    return JsonResponse(body, status=503 if failing else 200)


def _complaint(ask: Callable[[], None]) -> str:
    try:
        ask()
    except Exception as error:  # noqa: BLE001 - whatever is wrong with a part is what is reported
        return f"{type(error).__name__}: {str(error)[:200]}"
    return ""


def database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def migrations() -> None:
    executor = MigrationExecutor(connection)
    missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if missing:
        raise RuntimeError(f"{len(missing)} migrations are not applied: run `manage.py migrate`")


def redis_server() -> None:
    once = Retry(NoBackoff(), 0)
    url = settings.TOWLINE.redis_url
    with redis.Redis.from_url(url, socket_timeout=1, socket_connect_timeout=1, retry=once) as client:
        client.ping()


def broker() -> None:
    impatient = {**settings.CELERY_BROKER_TRANSPORT_OPTIONS, "socket_timeout": 1, "socket_connect_timeout": 1}
    with Connection(settings.CELERY_BROKER_URL, connect_timeout=1, transport_options=impatient) as link:
        link.ensure_connection(max_retries=1, interval_start=0, timeout=2)


NEEDED: dict[str, Callable[[], None]] = {"database": database, "migrations": migrations}
PARTS = {**NEEDED, "redis": redis_server, "broker": broker}
