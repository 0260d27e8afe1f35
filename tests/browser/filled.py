"""Traces for the browser, put into a running platform's table: jobs as they ran, spans as a test wants them."""

from __future__ import annotations

from typing import Any

from tests.stack import RunningStack

FILL = """
from jobs.models import Job
from tests.trace_builder import Try, of_job, stored
from tracing.identity import Parent

job = Job.objects.get(pk={job!r})
attempt = job.attempts.order_by("number").last()
failed = (attempt.verdict["code"], attempt.verdict["summary"]) if attempt.verdict else ("", "")
built = of_job(str(job.pk), [Try(execution_id=attempt.pk, run=60.0, failed=failed)], began=job.created_at)
execute = built.named("execute")
at = (execute.started_at - built.began).total_seconds()
for number in range({more}):
    begins = at + number * 60 / {more}
    built.span({name!r}.format(number), "trainer", begins, 0.01, execute, about={{"job_id": str(job.pk)}}, batch=number)
stored(built)
place = Parent(int(built.trace_id), int(built.named("job").span_id))
Job.objects.filter(pk=job.pk).update(traceparent=str(place))
print(len(built.rows))
"""


def traced_job(
    stack: RunningStack, *command: str, more: int = 0, name: str = "step {}", **spec: Any
) -> tuple[str, int]:
    """A job that ran, and a trace of it with so many more spans of its program: (the trace's page, how many spans)."""
    job = stack.run(*(command or ("true",)), **spec)
    done = stack.manage("shell", "-c", FILL.format(job=job["id"], more=more, name=name))
    assert done.returncode == 0, done.stderr
    return f"{stack.url}/admin/jobs/job/{job['id']}/trace/", int(done.stdout.split()[-1])


BEGIN = """
from datetime import UTC, datetime, timedelta
from jobs.models import Job
from tests.trace_builder import Built, Try, of_job, stored
from tracing.identity import Parent
from tracing.models import Span

job = Job.objects.get(pk={job!r})
attempt = job.attempts.order_by("number").last()
built = of_job(str(job.pk), [Try(execution_id=attempt.pk, run=1.0)], datetime.now(UTC) - timedelta(seconds=10))
more = Built(built.trace_id, built.began, {{"job_id": str(job.pk)}})
more.span("upload", "trainer", 2, None, built.named("execute"))
for number in range({steps}):
    more.span(f"step {{number}}", "trainer", 2 + number / 100, 0.01, built.named("execute"))
"""
STORE = """
place = Parent(int(built.trace_id), int(built.named("job").span_id))
Job.objects.filter(pk=job.pk).update(traceparent=str(place), state="succeeded", finished_at=attempt.finished_at)
stored(built), stored(more)
"""
PROMISE = """
Job.objects.filter(pk=job.pk).update(traceparent=str(Parent(int(built.trace_id), 1)), state="running", finished_at=None)
"""
ADD = """
from jobs.models import Job
from tests.trace_builder import Built, stored
from tracing.models import Span
from tracing.rows import rows_of

job = Job.objects.get(pk={job!r})
found = Span.objects.filter(trace_id=job.trace_id)
built = Built(job.trace_id, found.earliest("started_at").started_at, {{"job_id": str(job.pk)}})
(execute,) = rows_of(found.filter(operation="execute"))
for operation in {operations!r}:
    built.span(operation, "trainer", 2.001, 0.01, execute)
stored(built)
"""
CLOSE = """
from datetime import UTC, datetime
from jobs.models import Job
from tracing.models import Span

found = Span.objects.filter(trace_id=Job.objects.get(pk={job!r}).trace_id, completed_at=None)
found.update(completed_at=datetime.now(UTC), duration_ms=9000, status="completed")
"""


class GoingTrace:
    """A trace with a span that is open, and so many of its program's that are folded; of a job that ran."""

    def __init__(self, stack: RunningStack, steps: int = 30) -> None:
        self._stack = stack
        self._job = str(stack.run("true")["id"])
        self._steps = steps
        self.page = f"{stack.url}/admin/jobs/job/{self._job}/trace/"

    def begin(self) -> None:
        self._run(BEGIN + STORE, steps=self._steps)

    def promise(self) -> None:
        """The job is under way again, and no span of it is written yet."""
        self._run(BEGIN + PROMISE, steps=0)

    def add(self, *operations: str) -> None:
        self._run(ADD, operations=operations)

    def close(self) -> None:
        self._run(CLOSE)

    def _run(self, script: str, **known: Any) -> None:
        done = self._stack.manage("shell", "-c", script.format(job=self._job, **known))
        assert done.returncode == 0, done.stderr
