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
