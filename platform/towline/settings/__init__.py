"""Django's settings, all derived from `environment`."""

from __future__ import annotations

import sys
from typing import Any

import dj_database_url
from csp.constants import NONE, SELF
from pydantic import ValidationError

from jobs import failpoints

from .environment import REPOSITORY, Environment
from .logs import logging_of


def _read_environment() -> Environment:
    try:
        return Environment()
    except ValidationError as errors:
        lines = [f"  {'.'.join(map(str, e['loc'])) or 'settings'}: {e['msg']}" for e in errors.errors()]
        sys.exit("Towline can't start, the environment needs mending:\n" + "\n".join(lines))


ENVIRONMENT = _read_environment()
SECRET_KEY = ENVIRONMENT.secret_key
SECRET_KEY_FALLBACKS = [key.get_secret_value() for key in ENVIRONMENT.TOWLINE_SECRET_KEY_FALLBACKS]
DEBUG = ENVIRONMENT.TOWLINE_DEBUG
ALLOWED_HOSTS = ENVIRONMENT.TOWLINE_ALLOWED_HOSTS

INSTALLED_APPS = [
    "towline.apps.TowlineConfig",
    "towline.apps.AdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "knox",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_celery_results",
    "csp",
    "tracing.apps.TracingConfig",
    "jobs.apps.JobsConfig",
    "workers.apps.WorkersConfig",
]

MIDDLEWARE = [
    "towline.traced_requests.TracedRequests",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

APPEND_SLASH = False  # a POST would be redirected into a GET, and a client believe that its job was taken
ROOT_URLCONF = "towline.urls"
ASGI_APPLICATION = "towline.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# --- database -------------------------------------------------------------------------------------------------------

# Measured: IMMEDIATE is what ends "database is locked"; NORMAL survives kill -9, only power loss may take the last commits.
SQLITE_OPTIONS: dict[str, Any] = {
    "timeout": 20,
    "transaction_mode": "IMMEDIATE",
    "init_command": "PRAGMA journal_mode=WAL;PRAGMA synchronous=NORMAL;PRAGMA journal_size_limit=67108864;"
    "PRAGMA mmap_size=134217728;PRAGMA cache_size=-20000;",
}
# A hung backend must not hang a worker for ever: tcp_user_timeout is in ms, statement_timeout too.
POSTGRES_OPTIONS: dict[str, Any] = {
    "pool": {"min_size": 1, "max_size": ENVIRONMENT.TOWLINE_SLOTS + 16, "timeout": 15},
    "connect_timeout": 10,
    "tcp_user_timeout": 30_000,
    # The second is for who is frozen in the middle of a transaction: until it is over, the others wait for its locks.
    "options": "-c statement_timeout=60000 -c idle_in_transaction_session_timeout=20000",
}


def _database() -> dict[str, Any]:
    database: dict[str, Any] = dict(dj_database_url.parse(ENVIRONMENT.database_url))
    sqlite = database["ENGINE"].endswith("sqlite3")
    database["OPTIONS"] = {**(SQLITE_OPTIONS if sqlite else POSTGRES_OPTIONS), **database.get("OPTIONS", {})}
    database["CONN_MAX_AGE"] = 60 if sqlite else 0
    database["CONN_HEALTH_CHECKS"] = not sqlite
    if sqlite:
        ENVIRONMENT.TOWLINE_DATA_DIR.mkdir(parents=True, exist_ok=True, mode=0o700)
        # A file, not memory: the tests' threads each have a connection of their own.
        database["TEST"] = {"NAME": str(ENVIRONMENT.TOWLINE_DATA_DIR / "test.sqlite3")}
    return database


DATABASES = {"default": _database()}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- files of ours ----------------------------------------------------------------------------------------------------


def _log_storage() -> dict[str, Any]:
    wanted = ENVIRONMENT.log_storage
    if not wanted.startswith("s3://"):
        options = {"location": wanted, "file_permissions_mode": 0o600, "directory_permissions_mode": 0o700}
        return {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": options}
    bucket, _, prefix = wanted.removeprefix("s3://").partition("/")
    s3 = {"bucket_name": bucket, "location": prefix, "file_overwrite": True, "querystring_auth": False}
    return {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": s3}


STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    "logs": _log_storage(),
}

# --- web ------------------------------------------------------------------------------------------------------------

LANGUAGE_CODE = "en-gb"
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "static/"
STATIC_ROOT = ENVIRONMENT.TOWLINE_STATIC_DIR or ENVIRONMENT.TOWLINE_DATA_DIR / "static"
WHITENOISE_USE_FINDERS = True
DATA_UPLOAD_MAX_MEMORY_SIZE = 4 * 1024 * 1024
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
LOGIN_URL = "admin:login"

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    },
}
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
# Two Towlines on one host must not log each other out.
SESSION_COOKIE_NAME = "towline_session"
CSRF_COOKIE_NAME = "towline_csrf"
# Probes and Prometheus ask web itself, past the proxy that ends TLS; there is nothing to hide in the answers.
SECURE_REDIRECT_EXEMPT = [r"^healthz/", r"^metrics$"]
if ENVIRONMENT.TOWLINE_HTTPS:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_SSL_REDIRECT = True
    SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = True
    SECURE_HSTS_SECONDS = 31_536_000
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True

# --- REST -----------------------------------------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "jobs.api.authentication.BearerToken",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["jobs.api.parsing.StrictJSONParser"],
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "jobs.api.problems.answer_problem",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
REST_KNOX = {"AUTH_HEADER_PREFIX": "Bearer", "TOKEN_TTL": None, "TOKEN_PREFIX": "tl_"}
SPECTACULAR_SETTINGS = {
    "TITLE": "Towline",
    "DESCRIPTION": "Run container jobs: submit, watch, cancel, explain.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.1",  # pydantic speaks JSON Schema 2020-12, which 3.0 is not
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SORT_OPERATIONS": False,
    "COMPONENT_SPLIT_PATCH": False,  # a PATCH takes what its PUT takes
    "ENUM_NAME_OVERRIDES": {},
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "jobs.api.openapi.without_limits_of_databases",
        "jobs.api.openapi.with_problems",
    ],
    # The page asks nobody else, least of all the validator of Swagger's makers.
    "SWAGGER_UI_SETTINGS": {"deepLinking": True, "validatorUrl": None, "persistAuthorization": False},
}

# --- Celery ---------------------------------------------------------------------------------------------------------

CELERY_BROKER_URL = ENVIRONMENT.broker_url
CELERY_RESULT_BACKEND = "django-db"
CELERY_RESULT_EXTENDED = True
CELERY_RESULT_EXPIRES = None
CELERY_TASK_DEFAULT_QUEUE = "control"
CELERY_TASK_IGNORE_RESULT = False
CELERY_TASK_PUBLISH_RETRY = False  # a hint that can't be sent is re-sent from the database, not waited for
CELERY_WORKER_DIRECT = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_SEND_TASK_EVENTS = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_CONSUMER = "towline.broker.consumer:Consumer"
CELERY_BEAT_SCHEDULER = "towline.broker.beat:Scheduler"
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = True  # of late acknowledgement only; we have none
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None  # for ever: Celery's 100 tries are over after some minutes
CELERY_BROKER_CHANNEL_ERROR_RETRY = True  # a Redis that is full answers with one, and a worker must not end for it
CELERY_BROKER_TRANSPORT_OPTIONS = {
    # No copy of a message in Redis until it is acknowledged: a hint that is lost costs less than one that comes late.
    "ack_emulation": False,
    "socket_timeout": 10,
    "socket_connect_timeout": 3,
    "socket_keepalive": True,
    "health_check_interval": 25,
    # Of who publishes: one more try, then the hint is given up. Consumers reconnect by their own rules, for ever.
    "max_retries": 1,
    "interval_start": 0,
    "interval_step": 0.1,
    "interval_max": 0.2,
}
CELERY_BEAT_SCHEDULE = {
    "place": {"task": "workers.place", "schedule": 5.0, "options": {"expires": 5}},
    "reconcile": {"task": "workers.reconcile", "schedule": 10.0, "options": {"expires": 10}},
    "pack logs": {"task": "workers.pack_logs", "schedule": 10.0, "options": {"expires": 10}},
    # Left out where nothing is traced in the database: not even a message.
    **(
        {"reap traces": {"task": "workers.reap_traces", "schedule": 10.0, "options": {"expires": 10}}}
        if ENVIRONMENT.ENABLE_DB_TRACING
        else {}
    ),
    "retention": {
        "task": "workers.retention",
        "schedule": ENVIRONMENT.TOWLINE_LOG_RETENTION_SECONDS,
        "options": {"expires": ENVIRONMENT.TOWLINE_LOG_RETENTION_SECONDS},
    },
}
CELERY_BEAT_SCHEDULE_FILENAME = str(ENVIRONMENT.TOWLINE_DATA_DIR / "beat-schedule")

# --- Towline's own ----------------------------------------------------------------------------------------------------

TOWLINE = ENVIRONMENT
failpoints.arm(ENVIRONMENT.TOWLINE_FAILPOINTS)
TRACED = ENVIRONMENT.ENABLE_DB_TRACING or bool(ENVIRONMENT.OTEL_EXPORTER_OTLP_ENDPOINT)
LOGGING = logging_of(ENVIRONMENT.TOWLINE_LOG_LEVEL, ENVIRONMENT.TOWLINE_LOG_FORMAT, traced=TRACED)

__all__ = ["ENVIRONMENT", "REPOSITORY"]
