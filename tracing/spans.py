"""What the rest of the house says to have its work traced. With tracing off every call is a comparison and nothing else.

`span` is for work that begins and ends in one call. A `Life` is for what processes share: a job, its waiting, an attempt, its
container; one opens it, another may close it, each after its commit. Nothing here raises for a reason of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode

from .identity import Parent
from .models import Status as Status  # part of how a life ends
from .records import ERROR_TYPE, EXECUTION, JOB, MODEL, REGION, STATUS

_SUBJECT = contexts.create_key("towline-subject")
_HIDE = contexts.create_key("towline-hide")
Value = str | int | float | bool


@dataclass(frozen=True)
class Subject:
    """What a span is about. Those below it are about the same."""

    job_id: str = ""
    execution_id: int | None = None
    model_id: str = ""
    region: str = ""

    def attributes(self) -> dict[str, Value]:
        found = {JOB: self.job_id, EXECUTION: self.execution_id, MODEL: self.model_id, REGION: self.region}
        return {key: value for key, value in found.items() if value}


@dataclass(frozen=True)
class Life:
    """A span of more than one process. `parent.at(span_id)` is its place, for what goes on below it."""

    parent: Parent
    span_id: int
    operation: str
    service: str
    subject: Subject
    start: datetime
    attributes: Mapping[str, Value] = field(default_factory=dict)


class Backend(Protocol):
    """What `tracing.sdk` puts behind this module."""

    def tracer(self, service: str) -> trace.Tracer: ...

    def opened(self, life: Life) -> None: ...

    def closed(self, life: Life, end: datetime, status: Status, error_type: str, error_message: str) -> None: ...


class Doing:
    """A span under way. One that is not traced takes everything and keeps nothing."""

    def __init__(self, span: trace.Span | None = None, hide: Callable[[str], str] = str) -> None:
        self._span = span
        self._hide = hide
        self._failed = False

    def set(self, **attributes: Value | None) -> None:
        """Attributes; a double underscore stands for a dot."""
        if self._span:
            self._span.set_attributes(_dotted(attributes))

    def about(self, subject: Subject) -> None:
        """Learned only now."""
        if self._span:
            self._span.set_attributes(subject.attributes())

    def event(self, name: str, **attributes: Value | None) -> None:
        if self._span:
            self._span.add_event(name, _dotted(attributes))

    def fail(self, error_type: str, message: str, status: Status = Status.FAILED) -> None:
        """What is said first stays: who says more is further from what happened."""
        if self._span and not self._failed:
            self._failed = True
            self._span.set_attribute(ERROR_TYPE, error_type)
            if status is not Status.FAILED:
                self._span.set_attribute(STATUS, status.value)
            self._span.set_status(StatusCode.ERROR, self._hide(message))


NOT_TRACED = Doing()
_backend: Backend | None = None


def install(backend: Backend | None) -> None:
    global _backend
    _backend = backend


def on() -> bool:
    return _backend is not None


def here() -> Parent | None:
    """The span under way in this thread, if it is traced."""
    if _backend is None:
        return None
    found = trace.get_current_span().get_span_context()
    if not found.is_valid:
        return None
    return Parent(found.trace_id, found.span_id, found.trace_flags.sampled)


def about(subject: Subject) -> None:
    """What the span under way turns out to be about."""
    if _backend is not None:
        trace.get_current_span().set_attributes(subject.attributes())


@contextmanager
def under(
    parent: Parent | None, subject: Subject | None = None, hide: Callable[[str], str] | None = None
) -> Iterator[None]:
    """What is traced within goes on from there, or from where it is. `hide` masks the texts of errors."""
    if _backend is None or (parent is None and hide is None):
        yield
        return
    token = contexts.attach(_context(parent, subject, hide))
    try:
        yield
    finally:
        contexts.detach(token)


@contextmanager
def span(
    operation: str,
    service: str,
    *,
    parent: Parent | None = None,
    subject: Subject | None = None,
    root: bool = False,
    kind: SpanKind = SpanKind.INTERNAL,
    start: datetime | None = None,
    leaves: tuple[type[BaseException], ...] = (),
    **attributes: Value | None,
) -> Iterator[Doing]:
    """Trace what is done within. What belongs to no trace is not traced, unless it is the `root` of one.

    An exception that gets out makes it `failed`, unless it is one of `leaves`, with which work is left and nothing has gone
    wrong. `parent` and `subject` are those of the span around, unless given.
    """
    around = _context(parent, subject) if _backend is not None else None
    if _backend is None or around is None or not (root or _is_traced(around)):
        yield NOT_TRACED
        return
    about: Any = contexts.get_value(_SUBJECT, around)
    known = {**(about.attributes() if about else {}), **_dotted(attributes)}
    began = _ns(start) if start else None
    made = _backend.tracer(service).start_span(operation, around, kind, known, start_time=began)
    token = contexts.attach(trace.set_span_in_context(made, around))
    try:
        with _noticing(made, around, leaves) as doing:
            yield doing
    finally:
        contexts.detach(token)
        made.end()


@contextmanager
def _noticing(made: trace.Span, around: contexts.Context, leaves: tuple[type[BaseException], ...]) -> Iterator[Doing]:
    hide: Any = contexts.get_value(_HIDE, around)
    doing = Doing(made, hide or str)
    try:
        yield doing
    except leaves as error:
        made.set_attribute("left", type(error).__name__)
        raise
    except BaseException as error:
        doing.fail(type(error).__name__, str(error))
        raise


def _is_traced(context: contexts.Context) -> bool:
    return trace.get_current_span(context).get_span_context().is_valid


def opened(life: Life) -> None:
    """It has begun, and that is committed."""
    if _backend is not None and life.parent.sampled:
        _backend.opened(life)


def closed(
    life: Life, end: datetime, status: Status = Status.COMPLETED, error_type: str = "", error_message: str = ""
) -> None:
    """It is over, and that is committed."""
    if _backend is not None and life.parent.sampled:
        _backend.closed(life, end, status, error_type, error_message)


def _context(
    parent: Parent | None, subject: Subject | None, hide: Callable[[str], str] | None = None
) -> contexts.Context:
    found = contexts.get_current()
    if parent is not None:
        flags = trace.TraceFlags(trace.TraceFlags.SAMPLED if parent.sampled else trace.TraceFlags.DEFAULT)
        place = trace.SpanContext(parent.trace_id, parent.span_id, is_remote=True, trace_flags=flags)
        found = trace.set_span_in_context(trace.NonRecordingSpan(place), found)
    if subject is not None:
        found = contexts.set_value(_SUBJECT, subject, found)
    if hide is not None:
        found = contexts.set_value(_HIDE, hide, found)
    return found


def _dotted(attributes: Mapping[str, Value | None]) -> dict[str, Value]:
    return {key.replace("__", "."): value for key, value in attributes.items() if value is not None}


def _ns(moment: datetime) -> int:
    return round(moment.timestamp() * 1_000_000) * 1000
