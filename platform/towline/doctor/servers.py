"""The servers beside us: database, Redis, the broker; and whether their clocks agree with ours."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import redis
from django.conf import settings
from django.db import connection
from django.db.models import DateTimeField
from django.db.models.functions import Now

from jobs.models import Installation, Job
from towline import health

from .finding import Check, Finding, failed, fine, warn

REDIS_LEAST = (6, 2)
APART_SECONDS = 2.0
REDIS_REMEDY = "Start `manage.py up`, which brings its own, or set REDIS_URL to one that answers."


def database() -> Finding:
    health.database()
    name = settings.DATABASES["default"]["NAME"]
    where = settings.DATABASES["default"].get("HOST") or "this machine"
    return fine("database", f"{connection.vendor} {_version()}, {name} on {where}")


def _version() -> str:
    if connection.vendor == "sqlite":
        import sqlite3

        return sqlite3.sqlite_version
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version")
        row = cursor.fetchone()
    return str(row[0]) if row else "?"


def migrations() -> Finding:
    health.migrations()
    key = Installation.objects.values_list("key", flat=True).get()
    return fine("migrations", f"all applied, installation {key}, {Job.objects.count()} jobs")


def redis_server() -> Finding:
    with _client() as client:
        version = str(client.info("server")["redis_version"])
    return judge_redis(version)


def judge_redis(version: str) -> Finding:
    numbers = tuple(int(part) for part in version.split(".")[:2])
    if numbers < REDIS_LEAST:
        return failed("redis", version, "Install Redis 6.2 or newer: Celery's transport needs it.")
    return fine("redis", f"{version} at {without_password(settings.TOWLINE.redis_url)}")


def broker() -> Finding:
    health.broker()
    return fine("broker", f"answers at {without_password(settings.TOWLINE.broker_url)}")


def clock() -> Finding:
    """Leases are kept by the database's clock, log lines by the engines', Celery's timers by ours."""
    apart = {"database": _database_clock(), "redis": _redis_clock()}
    worst = max(apart, key=lambda name: abs(apart[name]))
    said = f"the {worst}'s differs most from ours, by {abs(apart[worst]):.1f} s"
    if abs(apart[worst]) > APART_SECONDS:
        return warn("clock", said, "Let all machines keep the time by NTP: leases and time-lines go wrong otherwise.")
    return fine("clock", said)


def _database_clock() -> float:
    now = Installation.objects.annotate(clock=Now(output_field=DateTimeField())).values_list("clock", flat=True).get()
    return (now - datetime.now(UTC)).total_seconds()


def _redis_clock() -> float:
    """0 where Redis does not answer: that is a finding of its own."""
    try:
        with _client() as client:
            seconds, microseconds = client.time()
    except redis.RedisError:
        return 0.0
    return float(seconds + microseconds / 1e6 - time.time())


def _client() -> redis.Redis:
    return redis.Redis.from_url(settings.TOWLINE.redis_url, socket_timeout=2, socket_connect_timeout=2)


def without_password(url: str) -> str:
    scheme, colon, rest = url.partition("://")
    return f"{scheme}{colon}{rest.rpartition('@')[2]}"


CHECKS = (
    Check("database", database, "Look at DATABASE_URL, and whether the server there runs."),
    Check("migrations", migrations, "Run `manage.py migrate`."),
    Check("redis", redis_server, REDIS_REMEDY),
    Check("broker", broker, "Look at CELERY_BROKER_URL; unset, it is REDIS_URL. " + REDIS_REMEDY),
    Check("clock", clock, "Run `manage.py migrate`."),
)
