"""What the environment may say about tracing; part of `environment.Environment`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode

from tracing.services import CONTAINER, JOB, SERVICES

from .kubernetes import words


class TracingEnvironment(BaseSettings):
    ENABLE_DB_TRACING: bool = Field(
        default=False,
        description="Trace every run in the database. Off: no row, no thread, no cost. The demo turns it on.",
    )
    OTEL_EXPORTER_OTLP_ENDPOINT: str | None = Field(
        None,
        pattern=r"^https?://\S+$",
        description="An OpenTelemetry Collector, or anything else that takes OTLP over HTTP, `http://host:4318`: traces go there, "
        "beside the database or instead of it. OpenTelemetry's other variables (`OTEL_EXPORTER_OTLP_HEADERS`, "
        "`OTEL_TRACES_SAMPLER`, `OTEL_TRACES_SAMPLER_ARG`, `OTEL_BSP_*` …) are heard, too.",
    )
    OTEL_SDK_DISABLED: bool = Field(default=False, description="OpenTelemetry's own switch: nothing is traced.")
    TOWLINE_TRACE_SERVICES: Annotated[list[str], NoDecode] = Field(
        [], description=f"What is traced, comma separated, of {', '.join(SERVICES)}. Unset: all of them."
    )
    TOWLINE_TRACE_KEEP_DAYS: int = Field(30, ge=0, le=36500, description="How long spans are kept; 0: for ever.")
    TOWLINE_TRACE_BUFFER: int = Field(
        50_000,
        ge=100,
        description="Spans that wait in a process to be written, at most; more are dropped, and counted.",
    )

    TOWLINE_SERVICE_URL: str | None = Field(
        None,
        pattern=r"^https?://\S+$",
        description="Where jobs' containers reach this platform, for the spans they send; its host must be one of "
        "TOWLINE_ALLOWED_HOSTS. A loopback address is told to plain processes only. `manage.py up` sets it. Docker "
        "containers are told TOWLINE_DOCKER_SERVICE_URL first, pods TOWLINE_KUBERNETES_SERVICE_URL.",
    )
    TOWLINE_DOCKER_SERVICE_URL: str | None = Field(
        None,
        pattern=r"^https?://\S+$",
        description="The same for Docker containers. Where the engine is on this machine, `manage.py up` finds it out: it listens "
        "on the engine's bridge, too, and takes nothing but spans there.",
    )
    TOWLINE_TRACE_CONTAINER_SPANS: int = Field(
        10_000, ge=0, description="Spans taken from one attempt's container, at most; more are refused, and it is told."
    )

    @property
    def traces(self) -> bool:
        """Whether runs are traced at all."""
        return not self.OTEL_SDK_DISABLED and (self.ENABLE_DB_TRACING or bool(self.OTEL_EXPORTER_OTLP_ENDPOINT))

    @property
    def takes_spans(self) -> bool:
        """Whether containers are to send theirs."""
        return self.traces and (not self.TOWLINE_TRACE_SERVICES or CONTAINER in self.TOWLINE_TRACE_SERVICES)

    @field_validator("TOWLINE_TRACE_SERVICES", mode="before")
    @classmethod
    def _split_services(cls, value: object) -> object:
        return words(value) if isinstance(value, str) else value

    @field_validator("TOWLINE_TRACE_SERVICES")
    @classmethod
    def _known_services(cls, value: list[str]) -> list[str]:
        if unknown := set(value) - set(SERVICES):
            raise ValueError(f"unknown service {', '.join(sorted(unknown))}: choose from {', '.join(SERVICES)}")
        if value and JOB not in value:
            raise ValueError(f"{JOB} must be among them: what other services do hangs below it")
        return value
