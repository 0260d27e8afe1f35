"""What is logged, and in which form: one handler on stderr for every logger there is."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field
from pydantic_settings import BaseSettings

OURS = ("towline", "jobs", "workers", "tracing", "celery")
PLAIN = {"format": "{asctime} {levelname:<7} {name}: {message}", "style": "{"}


class LogEnvironment(BaseSettings):
    """Part of `environment.Environment`."""

    TOWLINE_LOG_LEVEL: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="Of Towline's own loggers."
    )
    TOWLINE_LOG_FORMAT: Literal["line", "json"] = Field(
        "line",
        description="How all processes log to stderr: `line` for people, or `json`, an object a line, for machines. Where a "
        "span is under way, both name it.",
    )


def logging_of(level: str, form: str, *, traced: bool) -> dict[str, Any]:
    """Django's LOGGING. Where nothing is traced a line is made as Python makes it, and costs what that costs."""
    ways = {"line": {"()": "towline.logs.line"} if traced else PLAIN, "json": {"()": "towline.logs.json_line"}}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {
            "brief": {"()": "towline.broker.quiet.Brief"},
            "without probes": {"()": "towline.broker.quiet.WithoutProbes"},
        },
        "formatters": {form: ways[form]},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": form}},
        "root": {"handlers": ["stderr"], "level": "WARNING"},
        "loggers": {
            "celery.worker.consumer.consumer": {"filters": ["brief"]},
            "celery.worker.strategy": {"filters": ["without probes"]},
            "celery.app.trace": {"filters": ["without probes"]},
            **{name: {"level": level} for name in OURS},
        },
    }
