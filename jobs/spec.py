"""What a job may ask for: the one place where a spec is checked, for REST, admin and commands alike.

Strict: no type is converted, no unknown field is ignored. Every message says the remedy; `field_errors` gives them by field.
Whether a project or a worker exists is not asked here.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from .fields import ARGUMENT_BYTES, WEEK_SECONDS, Argument, DiskQuantity, Label, Quantity, Seconds, ShmQuantity, Text
from .images import check_image
from .secrets.references import References
from .verdicts import KIND_OF, Kind
from .volumes import Volumes

RUNTIMES = ("docker", "kubernetes", "process")
ENVIRONMENT_BYTES = 1024 * 1024
FIRST_YEAR, LAST_YEAR = 2000, 9000
_OURS = "towline."
LARGEST_ID = 2**31 - 1
_USER = re.compile(
    r"(?:[a-z_][a-z0-9_.-]{0,31}|\d{1,10})(?::(?:[a-z_][a-z0-9_.-]{0,31}|\d{1,10}))?", re.ASCII | re.IGNORECASE
)


_NUMERIC = re.compile(r"(?:root|\d+)(?::(?:root|\d+))?")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Resources(_Strict):
    """`memory`, `disk`, `shm`: bytes, or with a suffix. `cpus` may be a fraction."""

    cpus: Annotated[float, Field(ge=0.01, le=4096, allow_inf_nan=False)] = 1
    memory: Quantity = "512Mi"
    disk: DiskQuantity | None = None
    gpus: Annotated[int, Field(ge=0, le=1024)] = 0
    pids: Annotated[int, Field(ge=1, le=4_194_304)] = 512
    shm: ShmQuantity = "64Mi"


class Timeouts(_Strict):
    """Seconds; null: none. `start` counts from when a worker takes it up and includes the pull; `idle` from the last output."""

    queue: Seconds | None = None
    start: Seconds | None = 600
    run: Seconds | None = 3600
    idle: Seconds | None = None
    grace: Annotated[float, Field(ge=0, le=3600, allow_inf_nan=False)] = 10


class Retry(_Strict):
    """`on` holds verdict codes or kinds. The n-th retry waits backoff · factor^(n-1), at most max_backoff seconds.

    `memory_factor` above 1 asks for a retry when memory ran out, each with that much more, up to what a worker has.
    """

    max_attempts: Annotated[int, Field(ge=1, le=100)] = 1
    backoff: Annotated[float, Field(ge=0, le=WEEK_SECONDS, allow_inf_nan=False)] = 5
    factor: Annotated[float, Field(ge=1, le=100, allow_inf_nan=False)] = 2
    max_backoff: Annotated[float, Field(ge=0, le=WEEK_SECONDS, allow_inf_nan=False)] = 300
    on: Annotated[list[str], Field(max_length=50)] = ["platform"]
    memory_factor: Annotated[float, Field(ge=1, le=100, allow_inf_nan=False)] = 1.0

    @field_validator("on")
    @classmethod
    def _known(cls, value: list[str]) -> list[str]:
        unknown = [word for word in value if word not in KIND_OF and word not in set(Kind)]
        if unknown:
            raise ValueError(f"no such verdict code or kind: {', '.join(map(repr, unknown))}")
        return value


class Concurrency(_Strict):
    """Of the project's jobs with this key, `limit` at most are under way at once; null: one."""

    key: Annotated[Text, Field(min_length=1, max_length=200)] | None = None
    limit: Annotated[int, Field(ge=1, le=100_000)] | None = None

    @model_validator(mode="after")
    def _limit_of_a_key(self) -> Self:
        if self.limit is not None and self.key is None:
            raise ValueError("limit: needs a key: give one, or leave it null")
        return self


class JobSpec(_Strict):
    """The body of `POST /api/v1/jobs/`."""

    name: Annotated[Text, Field(max_length=200)] = ""
    project: Annotated[Text, Field(max_length=63)] = "default"
    image: Text
    command: list[Argument] | None = None
    entrypoint: list[Argument] | None = None
    script: Annotated[Text, Field(max_length=512 * 1024)] | None = None
    env: Annotated[dict[str, Argument], Field(max_length=5000)] = {}
    working_dir: Annotated[Text, Field(max_length=4096)] | None = None
    user: Annotated[Text, Field(min_length=1, max_length=128)] | None = None
    stdin: Annotated[Text, Field(max_length=1024 * 1024)] | None = None
    tty: bool = False
    runtime: Annotated[str, Field(max_length=20)] | None = None
    arch: Annotated[str, Field(pattern=r"^[a-z0-9]+(/v[0-9]+)?$", max_length=20)] | None = None
    region: Annotated[Label, Field(min_length=1, max_length=50)] | None = None
    labels: Annotated[dict[Label, Label], Field(max_length=100)] = {}
    requires: Annotated[dict[Label, Label], Field(max_length=100)] = {}
    resources: Resources = Resources()
    timeouts: Timeouts = Timeouts()
    retry: Retry = Retry()
    priority: Annotated[int, Field(ge=-1000, le=1000)] = 0
    concurrency: Concurrency = Concurrency()
    after: Annotated[list[Annotated[UUID, Field(strict=False)]], Field(max_length=1000)] = []
    run_at: Annotated[AwareDatetime, Field(strict=False)] | None = None
    network: Annotated[str, Field(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}$")] = "bridge"
    read_only: bool = False
    secrets: References = []
    volumes: Volumes = []
    inputs: dict[str, Any] = {}
    outputs: list[Any] = []

    @field_validator("image")
    @classmethod
    def _image(cls, value: str) -> str:
        return check_image(value)

    @field_validator("command", "entrypoint")
    @classmethod
    def _argv(cls, value: list[str] | None) -> list[str] | None:
        if value is None:
            return None
        if not value or not value[0]:
            raise ValueError("must name a program: leave it out for the image's own")
        if sum(len(part.encode()) + 1 for part in value) > ARGUMENT_BYTES:
            raise ValueError("has at most 128 KiB in all: pass more by stdin or script")
        return value

    @field_validator("env")
    @classmethod
    def _environment(cls, value: dict[str, str]) -> dict[str, str]:
        wrong = [key for key in value if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", key, re.ASCII)]
        if wrong:
            raise ValueError(f"{wrong[0][:80]!r} is no variable name: letters, digits and _, not a digit first")
        if sum(len(key) + len(text.encode()) + 2 for key, text in value.items()) > ENVIRONMENT_BYTES:
            raise ValueError("has at most 1 MiB in all")
        return value

    @field_validator("labels")
    @classmethod
    def _own_labels(cls, value: dict[str, str]) -> dict[str, str]:
        if any(key.startswith(_OURS) or not key for key in value):
            raise ValueError(f"a label has a name, and one that does not begin with {_OURS!r}")
        return value

    @field_validator("working_dir")
    @classmethod
    def _absolute(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith("/"):
            raise ValueError("must be an absolute path")
        return value

    @field_validator("user")
    @classmethod
    def _user(cls, value: str | None) -> str | None:
        if value is not None and not _USER.fullmatch(value):
            raise ValueError("write it as name, name:group, uid or uid:gid")
        if value is not None and any(int(number) > LARGEST_ID for number in re.findall(r"(?:^|:)(\d+)", value)):
            raise ValueError(f"a uid or gid is at most {LARGEST_ID}")
        return value

    @field_validator("runtime")
    @classmethod
    def _known_runtime(cls, value: str | None) -> str | None:
        if value is not None and value not in RUNTIMES:
            raise ValueError(f"unknown runtime {value[:40]!r}: choose from {', '.join(RUNTIMES)}, or leave it out")
        return value

    @field_validator("run_at")
    @classmethod
    def _storable(cls, value: datetime | None) -> datetime | None:
        # In UTC it must be a year that every database takes and gives back.
        if value is not None and not FIRST_YEAR <= value.year <= LAST_YEAR:
            raise ValueError(f"must be a time between the years {FIRST_YEAR} and {LAST_YEAR}")
        return value

    @field_validator("network")
    @classmethod
    def _not_the_hosts(cls, value: str) -> str:
        if value in ("host", "container"):
            raise ValueError("the host's own network is not given to jobs: choose bridge, none or a named network")
        return value

    @field_validator("inputs", "outputs")
    @classmethod
    def _not_offered(cls, value: list[Any] | dict[str, Any]) -> list[Any] | dict[str, Any]:
        if value:
            raise ValueError("this installation offers none: leave it empty")
        return value

    @field_validator("after")
    @classmethod
    def _each_once(cls, value: list[UUID]) -> list[UUID]:
        return list(dict.fromkeys(value))

    @model_validator(mode="after")
    def _each_variable_once(self) -> Self:
        for n, secret in enumerate(self.secrets):
            if secret.env in self.env:
                raise ValueError(
                    f"secrets.{n}: {secret.env} is in env, too: remove it there, or choose another env here"
                )
        return self

    @model_validator(mode="after")
    def _terminal_where_there_is_one(self) -> Self:
        if self.tty and self.stdin is not None:
            raise ValueError("tty: a terminal has no end of input to tell stdin by: leave out one of them")
        if self.tty and self.runtime == "process":
            raise ValueError("tty: the process runtime has no terminal to give: leave it out, or choose docker")
        return self

    @model_validator(mode="after")
    def _what_a_cluster_has(self) -> Self:
        if self.runtime != "kubernetes":
            return self
        if self.volumes:
            raise ValueError("volumes: a cluster has no folders of a host to give: leave them out, or choose docker")
        if self.user is not None and not _NUMERIC.fullmatch(self.user):
            raise ValueError("user: Kubernetes knows users by number: write it as uid or uid:gid, or leave it out")
        return self

    @model_validator(mode="after")
    def _one_way_to_run(self) -> Self:
        if self.script is not None and (self.command is not None or self.entrypoint is not None):
            raise ValueError("script: give either a script, or a command and entrypoint")
        if self.script is not None and not self.script.strip():
            raise ValueError("script: is empty: leave it out for the image's own command")
        return self


def field_errors(error: ValidationError) -> dict[str, list[str]]:
    """Messages by dotted field name, e.g. `{"resources.memory": ["must be …"]}`."""
    found: dict[str, list[str]] = {}
    for item in error.errors(include_url=False, include_input=False):
        message = item["msg"].removeprefix("Value error, ")
        field = _field_name(item["loc"])
        if item["type"] == "value_error" and not item["loc"]:
            field, _, message = message.partition(": ")
        if item["type"] == "extra_forbidden":
            message = "unknown field: remove it"
        found.setdefault(field or "body", []).append(message)
    return {field: list(dict.fromkeys(messages)) for field, messages in found.items()}


def _field_name(location: tuple[int | str, ...]) -> str:
    """Without pydantic's own steps: the branches of a union, `[key]` of a dict."""
    steps = [str(step) for step in location if step not in ("int", "str", "[key]") and "function-" not in str(step)]
    return ".".join(steps)


def parse_spec(data: Any) -> JobSpec:
    """The checked spec of a decoded JSON body. Raises pydantic's ValidationError; see `field_errors`."""
    return JobSpec.model_validate(data)


__all__ = ["JobSpec", "Resources", "Retry", "Timeouts", "field_errors", "parse_spec"]
