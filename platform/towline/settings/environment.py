"""What the environment may say to Towline, typed; the one place where it is read.

Every field's description is the documentation: docs/settings.md is made from here (`make docs`), and a test compares.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import tempfile
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from jobs import failpoints
from jobs.limits import LONGEST_DAYS
from jobs.spec import RUNTIMES
from jobs.volumes import Allowed
from workers.drivers.kubernetes.options import Options

from .kubernetes import KubernetesEnvironment, options_of, words
from .logs import LogEnvironment
from .tracing import TracingEnvironment

SOCKET_PATH_LONGEST = 100  # the kernel's limit is 107 bytes
REPOSITORY = Path(__file__).resolve().parents[3]


def private_file(path: Path, make: str) -> str:
    """The content of a file only its owner can read, made with `make` the first time."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text().strip()
    with os.fdopen(descriptor, "w") as file:
        file.write(make)
    return make


class Environment(TracingEnvironment, LogEnvironment, KubernetesEnvironment):
    """Settings by their environment names. Wrong values are all reported at once, by name."""

    model_config = SettingsConfigDict(case_sensitive=True, extra="ignore", env_ignore_empty=True)

    TOWLINE_MODE: Literal["development", "production"] = Field(
        "development",
        description="`production` refuses to start with DEBUG, without a secret key, or with the process runtime.",
    )
    TOWLINE_DATA_DIR: Path = Field(
        REPOSITORY / ".towline", description="Where the embedded database, Redis, secrets and process jobs live."
    )
    TOWLINE_STATIC_DIR: Path | None = Field(
        None, description="Where `collectstatic` puts, and the web process finds, its files. Unset: in the data folder."
    )
    TOWLINE_SECRET_KEY: SecretStr | None = Field(
        None,
        description="Signs sessions, encrypts secrets. Made once in the data folder when unset; production needs it.",
    )
    TOWLINE_SECRET_KEY_FALLBACKS: Annotated[list[SecretStr], NoDecode] = Field(
        [],
        description="Secret keys of before, comma separated: what was signed or encrypted under one of them is still read. "
        "`manage.py secret rekey` encrypts secrets under the new one.",
    )
    TOWLINE_DEBUG: bool = Field(default=False, description="Django's DEBUG. Never in production.")
    TOWLINE_ALLOWED_HOSTS: Annotated[list[str], NoDecode] = Field(
        ["localhost", "127.0.0.1", "[::1]"], description="Host names the web process answers to, comma separated."
    )
    TOWLINE_HTTPS: bool = Field(
        default=False, description="Behind TLS: secure cookies, HSTS, and the proxy's `X-Forwarded-Proto` is trusted."
    )
    DATABASE_URL: str | None = Field(
        None, description="`postgresql://…`; unset: SQLite in the data folder. One machine only with SQLite."
    )
    REDIS_URL: str | None = Field(
        None, description="`redis://…`; unset: `manage.py up` starts a private Redis in the data folder."
    )
    CELERY_BROKER_URL: str | None = Field(None, description="Celery's broker. Unset: REDIS_URL.")
    TOWLINE_RUNTIMES: Annotated[list[str] | None, NoDecode] = Field(
        None,
        description="What this machine's run worker offers, comma separated: `docker`, `kubernetes`, `process`. "
        "Unset: docker where an engine answers, else process (never in production).",
    )
    TOWLINE_SLOTS: int = Field(8, ge=1, le=1000, description="Jobs a run worker runs at once.")
    TOWLINE_CPU_OVERCOMMIT: float = Field(
        4.0,
        ge=1,
        le=100,
        description="All jobs of a worker together may ask for this many times its cpus. Memory never.",
    )
    TOWLINE_WORKER_NAME: str | None = Field(
        None, pattern=r"^[^@\s,]+@[^@\s,]+$", description="The run worker's name, unique. Unset: `run@<host name>`."
    )
    TOWLINE_REGION: str = Field("", max_length=50, description="The region a run worker is in; jobs may ask for one.")
    TOWLINE_LABELS: Annotated[dict[str, str], NoDecode] = Field(
        {}, description="A run worker's labels, `key=value,key=value`; matched by a job's `requires`."
    )
    TOWLINE_HEARTBEAT_SECONDS: float = Field(5, gt=0, description="How often a worker renews its row and its leases.")
    TOWLINE_LEASE_SECONDS: float = Field(15, gt=0, description="How long a lease lasts without being renewed.")
    TOWLINE_ADOPTION_GRACE_SECONDS: float = Field(
        30, ge=0, description="How long after a lease's end somebody may still adopt the attempt before it is lost."
    )
    TOWLINE_MAX_QUEUED: int = Field(100_000, ge=1, description="More waiting jobs than this: submitting answers 429.")
    TOWLINE_NETWORKS: Annotated[list[str], NoDecode] = Field(
        [],
        description="Named networks that jobs may ask for besides `bridge` and `none`, comma separated. Whoever may submit "
        "reaches everything on them.",
    )
    TOWLINE_VOLUMES: Annotated[list[Allowed], NoDecode] = Field(
        [],
        description="Folders of the host that jobs may have as `volumes`, with all below them, comma separated; with `:ro` at "
        "its end, one is only read. Whoever may submit reads, and else writes, everything there as any user. Also of run "
        "workers: each looks again.",
    )
    TOWLINE_LOG_STORAGE: str = Field(
        "",
        pattern=r"^(s3://[a-z0-9][a-z0-9.-]*[a-z0-9](/[^\s?#]*)?|/.*)?$",
        description="Where finished logs are kept: a folder (`/mnt/logs`), or `s3://bucket/prefix` with the extra `s3`, whose "
        "credentials and endpoint come from the usual `AWS_*` variables. The same for all processes. Unset: in the data folder, "
        "where all are on one machine (SQLite, or `manage.py up`); else logs stay in the database.",
    )
    TOWLINE_LOG_PACK_AFTER_SECONDS: float = Field(
        60, ge=0, description="How long after its end an attempt's log is moved from the database to the log storage."
    )
    TOWLINE_LOG_BYTES_MOST: int = Field(
        4 * 1024**3,
        ge=64 * 1024,
        description="Output kept of one attempt, in bytes. Of more, its head and its tail are kept, a half each, and the cut "
        "is shown as a gap.",
    )
    TOWLINE_LOG_KEEP_DAYS: int = Field(
        30, ge=0, le=LONGEST_DAYS, description="How long logs of attempts that succeeded are kept; 0: for ever."
    )
    TOWLINE_LOG_KEEP_DAYS_FAILED: int = Field(
        90, ge=0, le=LONGEST_DAYS, description="The same of attempts that did not succeed; 0: for ever."
    )
    TOWLINE_LOG_KEEP_BYTES: int = Field(
        0,
        ge=0,
        description="Finished logs kept altogether, in bytes as they are stored (compressed); the oldest go first. 0: no limit. "
        "A project may have values of its own for this and the two above, in the admin.",
    )
    TOWLINE_LOG_RETENTION_SECONDS: float = Field(
        3600, ge=10, description="How often beat has logs dropped that are kept for long enough."
    )
    TOWLINE_DOCKER_URL: str | None = Field(
        None, description="The Docker engine. Unset: DOCKER_HOST, or the local socket."
    )
    TOWLINE_DEMO_IMAGE: str = Field(
        "busybox:1.36", description="The image of examples where none can be made on the spot: with a shell and awk."
    )
    TOWLINE_FLOWER_URL: str | None = Field(None, description="Where Flower is, for links from the admin.")
    TOWLINE_FAILPOINTS: Annotated[dict[str, failpoints.Failure], NoDecode] = Field(
        {},
        description="For tests and drills: where a process is to die, hang or fail, like `claimed=exit@/tmp/once`; see "
        "`jobs/failpoints.py`. Production refuses it.",
    )

    @field_validator(
        "TOWLINE_ALLOWED_HOSTS", "TOWLINE_RUNTIMES", "TOWLINE_NETWORKS", "TOWLINE_SECRET_KEY_FALLBACKS", mode="before"
    )
    @classmethod
    def _split(cls, value: object) -> object:
        return words(value) if isinstance(value, str) else value

    @field_validator("TOWLINE_VOLUMES", mode="before")
    @classmethod
    def _split_volumes(cls, value: object) -> object:
        return [Allowed.parse(text) for text in words(value)] if isinstance(value, str) else value

    @field_validator("TOWLINE_FAILPOINTS", mode="before")
    @classmethod
    def _split_failpoints(cls, value: object) -> object:
        return failpoints.parse(value) if isinstance(value, str) else value

    @field_validator("TOWLINE_LABELS", mode="before")
    @classmethod
    def _split_labels(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        pairs = [part.split("=", 1) for part in value.split(",") if part.strip()]
        if any(len(pair) != 2 or not pair[0].strip() for pair in pairs):
            raise ValueError("write it as key=value,key=value")
        return {key.strip(): text.strip() for key, text in pairs}

    @field_validator("TOWLINE_RUNTIMES")
    @classmethod
    def _known_runtimes(cls, value: list[str] | None) -> list[str] | None:
        unknown = set(value or ()) - set(RUNTIMES)
        if unknown:
            raise ValueError(f"unknown runtime {', '.join(sorted(unknown))}: choose from {', '.join(RUNTIMES)}")
        return value

    @field_validator("TOWLINE_DATA_DIR")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().resolve()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.TOWLINE_LEASE_SECONDS < 2 * self.TOWLINE_HEARTBEAT_SECONDS:
            raise ValueError("TOWLINE_LEASE_SECONDS must be at least twice TOWLINE_HEARTBEAT_SECONDS")
        if self.TOWLINE_MODE == "production":
            self._refuse_insecure()
        return self

    def _refuse_insecure(self) -> None:
        key = self.TOWLINE_SECRET_KEY.get_secret_value() if self.TOWLINE_SECRET_KEY else ""
        complaints = [
            (self.TOWLINE_DEBUG, "TOWLINE_DEBUG must be off"),
            (len(key) < 32, "TOWLINE_SECRET_KEY must be set to a secret of at least 32 characters"),
            (bool(self.TOWLINE_FAILPOINTS), "TOWLINE_FAILPOINTS must not be set"),
            ("process" in (self.TOWLINE_RUNTIMES or ()), "TOWLINE_RUNTIMES must not offer the process runtime"),
        ]
        found = [text for wrong, text in complaints if wrong]
        if found:
            raise ValueError("production mode: " + "; ".join(found))

    @cached_property
    def secret_key(self) -> str:
        if self.TOWLINE_SECRET_KEY:
            return self.TOWLINE_SECRET_KEY.get_secret_value()
        return private_file(self.TOWLINE_DATA_DIR / "secret-key", secrets.token_urlsafe(48))

    @property
    def database_url(self) -> str:
        return self.DATABASE_URL or f"sqlite:///{self.TOWLINE_DATA_DIR / 'towline.sqlite3'}"

    @property
    def log_storage(self) -> str:
        return self.TOWLINE_LOG_STORAGE or str(self.TOWLINE_DATA_DIR / "job-logs")

    @property
    def packs_logs(self) -> bool:
        """Whether all processes are sure to find what one of them puts into the log storage."""
        return bool(self.TOWLINE_LOG_STORAGE) or self.database_url.startswith("sqlite")

    @property
    def redis_socket(self) -> Path:
        """Of the Redis that `up` starts: in the data folder, unless its path is too long for a socket."""
        path = self.TOWLINE_DATA_DIR / "redis" / "redis.sock"
        if len(str(path)) <= SOCKET_PATH_LONGEST:
            return path
        digest = hashlib.sha256(str(path).encode()).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"towline-{os.getuid()}-{digest}" / "redis.sock"

    @property
    def redis_url(self) -> str:
        return self.REDIS_URL or f"unix://{self.redis_socket}"

    @property
    def broker_url(self) -> str:
        return self.CELERY_BROKER_URL or self.redis_url.replace("unix://", "redis+socket://")

    @cached_property
    def kubernetes_options(self) -> Options:
        return options_of(self)

    @property
    def process_runtime_allowed(self) -> bool:
        return self.TOWLINE_MODE != "production"
