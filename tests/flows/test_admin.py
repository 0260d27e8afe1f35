"""The admin over Django's client: who may look, what nobody may change, and what is done by hand."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from django_celery_results.models import TaskResult

from jobs.admin.timeline import bars
from jobs.models import Attempt, Event, Job, Project
from jobs.services import submit
from jobs.spec import parse_spec
from workers.models import Worker

pytestmark = pytest.mark.django_db
NASTY = "<img src=x onerror=alert(1)>"
VERDICT = {
    "code": "exit_code", "kind": "user", "summary": f"It ended with 3. {NASTY}", "evidence": [NASTY],
    "remedy": "Look at its output.", "retryable": False,
}  # fmt: skip


@pytest.fixture(autouse=True)
def default_project() -> Project:
    return Project.objects.get_or_create(name="default")[0]


@pytest.fixture
def boss(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("boss"))
    return client


def staff(name: str, *permissions: str) -> Client:
    user = User.objects.create_user(name, is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def waiting_job(**spec: Any) -> Job:
    return submit(parse_spec({"image": "busybox:1", "command": ["true"], **spec}), User.objects.first())[0]


def ended_job(state: str = "failed", **spec: Any) -> Job:
    """A job with one attempt, as the platform would leave it."""
    job, now = waiting_job(**spec), timezone.now()
    verdict = None if state == "succeeded" else VERDICT
    Job.objects.filter(pk=job.pk).update(
        state=state, attempts_count=1, started_at=now - timedelta(seconds=5), finished_at=now, exit_code=3,
        verdict=verdict, verdict_code=verdict["code"] if verdict else "",
    )  # fmt: skip
    attempt = Attempt.objects.create(
        job=job, number=1, state=state, worker="run@here", runtime="process", task_id=f"task-{job.pk}",
        started_at=now - timedelta(seconds=5), finished_at=now, exit_code=3, verdict=verdict,
    )  # fmt: skip
    Event.objects.create(job=job, attempt=attempt, kind="attempt_failed", data={"exit_code": 3, "verdict": "exit_code"})
    TaskResult.objects.create(task_id=attempt.task_id, task_name="workers.run", result='{"state": "failed"}')
    job.refresh_from_db()
    return job


def worker(**facts: Any) -> Worker:
    engine = {
        "id": "e",
        "runtime": "process",
        "version": "6",
        "arch": "amd64",
        "cpus": 2,
        "memory_bytes": 2**30,
        "gpus": 0,
    }
    given = {"name": "run@here", "boot": "b", "host": "h", "pid": 1, "version": "0", "slots": 4, "engines": [engine]}
    return Worker.objects.create(**{**given, **facts})


def page(name: str, *args: object) -> str:
    return reverse(f"admin:{name}", args=args)


def text(answer: Any) -> str:
    return str(answer.content.decode())


def told(answer: Any) -> str:
    return " ".join(str(message) for message in answer.context["messages"])


# --- looking ----------------------------------------------------------------------------------------------------------


def every_page() -> list[str]:
    job = ended_job(name=NASTY, env={"A": NASTY}, labels={"team": NASTY})
    attempt, here = job.attempts.get(), worker()
    lists = [
        "jobs_job",
        "jobs_attempt",
        "jobs_event",
        "jobs_project",
        "workers_worker",
        "django_celery_results_taskresult",
    ]
    rows = [job, attempt, job.events.latest("id"), job.project, here, TaskResult.objects.get()]
    return [
        page("index"),
        page("jobs_job_add"),
        page("jobs_job_cancel", waiting_job().pk),
        *[page(f"{name}_changelist") for name in lists],
        *[page(f"{name}_change", row.pk) for name, row in zip(lists, rows, strict=True)],
    ]


def test_every_page_opens_escapes_what_users_wrote_and_has_nothing_inline(boss: Client) -> None:
    for url in every_page():
        answer = boss.get(url)
        assert answer.status_code == 200, url
        body = text(answer)
        assert NASTY not in body, url
        assert not re.search(r"<style|<script(?![^>]*\bsrc=)|\sstyle=|\son\w+=\"", body), url
        assert "script-src 'self'" in answer.headers["Content-Security-Policy"]


def test_who_is_no_staff_sees_the_login_only(client: Client) -> None:
    client.force_login(User.objects.create_user("visitor"))
    for url in every_page():
        assert client.get(url).status_code == 302, url


def test_staff_without_permissions_sees_no_jobs(boss: Client) -> None:
    job, clerk = ended_job(name="hidden-job"), staff("clerk")
    assert "hidden-job" not in text(clerk.get(page("index")))
    for url in (page("jobs_job_changelist"), page("jobs_job_change", job.pk), page("jobs_job_add")):
        assert clerk.get(url).status_code == 403, url
    assert clerk.get(page("jobs_job_cancel", job.pk)).status_code == 403


def test_a_viewer_looks_and_can_not_cancel_nor_submit(boss: Client) -> None:
    job, viewer = waiting_job(), staff("viewer", "view_job")
    body = text(viewer.get(page("jobs_job_change", job.pk)))
    assert "Cancel…" not in body
    assert "Submit again" not in body
    assert viewer.post(page("jobs_job_cancel", job.pk)).status_code == 403
    assert viewer.post(page("jobs_job_retry", job.pk)).status_code == 403
    assert viewer.post(page("jobs_job_add"), {"image": "busybox:1"}).status_code == 403
    viewer.post(page("jobs_job_changelist"), {"action": "cancel_jobs", "confirmed": "y", "_selected_action": [job.pk]})
    job.refresh_from_db()
    assert (job.state, job.cancel_requested_at) == ("queued", None)


@pytest.mark.parametrize("table", ["jobs_attempt", "jobs_event", "django_celery_results_taskresult", "workers_worker"])
def test_what_the_platform_writes_nobody_edits(boss: Client, table: str) -> None:
    job, here = ended_job(), worker()
    rows: dict[str, Any] = {"jobs_attempt": job.attempts.get(), "jobs_event": job.events.latest("id")}
    row = rows.get(table) or (here if table == "workers_worker" else TaskResult.objects.get())
    assert boss.get(page(f"{table}_add")).status_code == 403
    assert boss.post(page(f"{table}_change", row.pk), {"state": "succeeded"}).status_code == 403
    assert boss.post(page(f"{table}_delete", row.pk), {"post": "yes"}).status_code == 403
    assert type(row)._default_manager.filter(pk=row.pk).exists()


def test_a_job_is_neither_edited_nor_deleted(boss: Client) -> None:
    job = ended_job()
    assert boss.post(page("jobs_job_change", job.pk), {"spec": "{}", "state": "queued"}).status_code == 403
    assert boss.post(page("jobs_job_delete", job.pk), {"post": "yes"}).status_code == 403
    same = Job.objects.get(pk=job.pk)
    assert (same.spec, same.state) == (job.spec, "failed")


def test_logs_and_the_installation_have_no_page(boss: Client) -> None:
    assert boss.get("/admin/jobs/logchunk/").status_code == 404
    assert boss.get("/admin/jobs/installation/").status_code == 404


# --- the list ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("table", ["jobs_job", "jobs_attempt", "jobs_event", "workers_worker", "jobs_project"])
def test_a_long_list_asks_no_more_questions_than_a_short_one(boss: Client, table: str) -> None:
    def questions() -> int:
        with CaptureQueriesContext(connection) as asked:
            assert boss.get(page(f"{table}_changelist")).status_code == 200
        return len(asked)

    ended_job()
    worker()
    few = questions()
    for number in range(12):
        ended_job(name=f"job {number}")
        worker(name=f"run@{number}")
        Project.objects.create(name=f"p{number}")
    assert questions() == few
    assert few <= 10


def test_a_spec_of_a_megabyte_breaks_no_page(boss: Client) -> None:
    job = waiting_job(env={f"V{n}": "x" * 100_000 for n in range(10)}, name="n" * 200, labels={"l" * 255: "v" * 255})
    assert len(boss.get(page("jobs_job_changelist")).content) < 60_000
    assert len(boss.get(page("jobs_job_change", job.pk)).content) < 80_000
    assert boss.get(f"{page('jobs_job_add')}?again={job.pk}").status_code == 200


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("state=failed", "bad"), ("state=active", "waits"), ("verdict=exit_code", "bad"), ("verdict=kind:user", "bad"),
        ("runtime=process", "bad"), ("waiting=no_worker", "waits"), ("q=waits", "waits"), ("q=tool:9", "waits"),
    ],
)  # fmt: skip
def test_filters_and_search_find_the_one_meant(boss: Client, query: str, found: str) -> None:
    ended_job(name="bad")
    job = waiting_job(name="waits", image="tool:9")
    Job.objects.filter(pk=job.pk).update(waiting_reason="no_worker")
    listed = boss.get(f"{page('jobs_job_changelist')}?{query}").context["cl"].result_list
    assert [row.name for row in listed] == [found]


def test_a_job_is_found_by_the_beginning_of_its_id(boss: Client) -> None:
    job = waiting_job(name="mine")
    listed = boss.get(page("jobs_job_changelist"), {"q": str(job.pk)[:30]}).context["cl"].result_list
    assert [row.pk for row in listed] == [job.pk]


# --- a job's page -----------------------------------------------------------------------------------------------------


def test_a_failed_job_says_why_and_what_to_do(boss: Client) -> None:
    body = text(boss.get(page("jobs_job_change", ended_job().pk)))
    assert "It ended with 3." in body
    assert "Look at its output." in body
    assert "Attempt 1 failed: exit_code, exit code 3" in body


def test_a_waiting_job_says_for_what_and_is_not_before_itself(boss: Client) -> None:
    job = waiting_job()
    Job.objects.filter(pk=job.pk).update(waiting_reason="capacity", waiting_detail="All workers are full.")
    body = text(boss.get(page("jobs_job_change", job.pk)))
    assert "All workers are full." in body
    assert "number 1 in the queue" in body


def test_job_attempt_result_worker_and_events_lead_to_each_other(boss: Client) -> None:
    job, here = ended_job(), worker()
    attempt, result = job.attempts.get(), TaskResult.objects.get()
    its_page, tries_page = page("jobs_job_change", job.pk), page("jobs_attempt_change", attempt.pk)
    result_page, worker_page = (
        page("django_celery_results_taskresult_change", result.pk),
        page("workers_worker_named", "run@here"),
    )
    leads = {its_page: [tries_page, worker_page], tries_page: [its_page, result_page, worker_page]}
    leads[result_page] = [its_page, tries_page]
    leads[page("workers_worker_change", here.pk)] = [its_page, tries_page]
    leads[page("jobs_event_change", job.events.latest("id").pk)] = [its_page, tries_page]
    for source, targets in leads.items():
        body = text(boss.get(source))
        assert [target for target in targets if f'href="{target}"' not in body] == [], source
    assert boss.get(worker_page).headers["Location"] == page("workers_worker_change", here.pk)


def test_the_picture_of_its_time_is_to_scale() -> None:
    job = ended_job()
    now = timezone.now()
    job.created_at, job.finished_at = now - timedelta(seconds=10), now
    attempt = job.attempts.get()
    attempt.created_at, attempt.started_at, attempt.finished_at = (now - timedelta(seconds=s) for s in (8, 5, 0))
    drawn = [(bar.phase, bar.x, bar.width) for bar in bars(job, [attempt], now)]
    assert drawn == [("waiting", 0.0, 200.0), ("starting", 200.0, 300.0), ("running", 500.0, 500.0)]


# --- submitting -------------------------------------------------------------------------------------------------------

FORM = {
    "image": "busybox:1", "project": "default", "cpus": "1", "memory": "64Mi", "gpus": "0", "run_seconds": "60",
    "start_seconds": "", "max_attempts": "1", "priority": "0", "network": "bridge",
}  # fmt: skip


def test_a_submitted_form_is_a_job_of_who_sent_it(boss: Client) -> None:
    command = """sh -c 'echo "a b"'"""
    form = {**FORM, "name": "by hand", "command": command, "env": "A=1\r\nB=x=y", "requires": "disk=ssd"}
    answer = boss.post(page("jobs_job_add"), form)
    job = Job.objects.get()
    assert answer.headers["Location"] == page("jobs_job_change", job.pk)
    assert (job.name, job.state, str(job.owner)) == ("by hand", "queued", "boss")
    assert job.spec["command"] == ["sh", "-c", 'echo "a b"']
    assert (job.spec["env"], job.spec["requires"]) == ({"A": "1", "B": "x=y"}, {"disk": "ssd"})
    assert (job.spec["timeouts"]["run"], job.spec["timeouts"]["start"]) == (60, None)


@pytest.mark.parametrize(
    ("wrong", "field", "message"),
    [
        ({"image": "Not An Image"}, "image", "white space"),
        ({"command": "echo 'open"}, "command", "Close every quote"),
        ({"command": "[1, 2]"}, "command", "valid string"),
        ({"memory": "lots"}, "memory", "whole bytes"),
        ({"memory": "1k"}, "memory", "between"),
        ({"env": "no equals sign"}, "env", "NAME=value"),
        ({"env": "1BAD=x"}, "env", "variable name"),
        ({"priority": "5000"}, "priority", "1000"),
        ({"command": "true", "script": "true"}, "script", "either a script"),
        ({"more": "{"}, "more", "not JSON"),
        ({"more": '{"resources": {"shm": "much"}}'}, "more", "resources.shm"),
        ({"more": '{"unknown": 1}'}, "more", "unknown: unknown field"),
        ({"network": "host"}, "network", "bridge"),
    ],
)
def test_what_is_wrong_is_said_at_its_field(boss: Client, wrong: dict[str, str], field: str, message: str) -> None:
    answer = boss.post(page("jobs_job_add"), {**FORM, **wrong})
    assert answer.status_code == 200
    errors = answer.context["form"].errors
    assert message in " ".join(errors.get(field, [])), errors
    assert not Job.objects.exists()


def test_the_form_of_submit_again_makes_the_same_spec(boss: Client) -> None:
    first = waiting_job(
        name="twin", command=["sh", "-c", "echo $A; exit 3"], env={"A": "two\nlines"}, labels={"team": "ml"}, priority=3,
        resources={"cpus": 0.5, "memory": "64Mi", "shm": "1Mi"}, timeouts={"run": 5, "grace": 1},
        retry={"max_attempts": 2, "on": ["user"]}, read_only=True,
    )  # fmt: skip
    form = boss.get(f"{page('jobs_job_add')}?again={first.pk}").context["form"]
    values = {name: form[name].value() for name in form.fields}
    sent = {name: value for name, value in values.items() if value is not None and value is not False}
    answer = boss.post(page("jobs_job_add"), sent)
    assert answer.status_code == 302, answer.context["form"].errors
    assert Job.objects.exclude(pk=first.pk).get().spec == first.spec


def test_a_project_of_others_is_refused_at_its_field(boss: Client) -> None:
    closed = Project.objects.create(name="closed")
    closed.members.set([User.objects.create_user("member")])
    answer = staff("outsider", "add_job").post(page("jobs_job_add"), {**FORM, "project": "closed"})
    assert "project" in answer.context["form"].errors
    assert not Job.objects.exists()


# --- cancelling -------------------------------------------------------------------------------------------------------


def test_cancel_asks_first_and_then_says_what_happened(boss: Client) -> None:
    job = waiting_job(name="doomed")
    assert "Yes, cancel it" in text(boss.get(page("jobs_job_cancel", job.pk)))
    assert Job.objects.get().state == "queued"
    answer = boss.post(page("jobs_job_cancel", job.pk), follow=True)
    assert "had not started, and never will" in told(answer)
    assert (Job.objects.get().state, Job.objects.get().cancel_requested_by) == ("cancelled", "boss")
    assert "was over already" in told(boss.post(page("jobs_job_cancel", job.pk), follow=True))


def test_cancelling_a_running_job_is_a_request(boss: Client) -> None:
    job = waiting_job()
    Job.objects.filter(pk=job.pk).update(state="running", attempts_count=1)
    assert "is asked to end" in told(boss.post(page("jobs_job_cancel", job.pk), follow=True))
    assert "being cancelled already" in told(boss.post(page("jobs_job_cancel", job.pk), follow=True))
    assert Job.objects.get().state == "running"


def test_a_failed_job_is_tried_again_from_its_page_and_from_the_list(boss: Client) -> None:
    over, waits = ended_job(), waiting_job()
    assert 'id="retry"' in text(boss.get(page("jobs_job_change", over.pk)))
    assert 'id="retry"' not in text(boss.get(page("jobs_job_change", waits.pk)))
    boss.get(page("jobs_job_retry", over.pk))
    assert Job.objects.get(pk=over.pk).state == "failed", "a link does nothing"
    assert "is tried again" in told(boss.post(page("jobs_job_retry", over.pk), follow=True))
    assert Job.objects.get(pk=over.pk).state == "queued"
    chosen = {"action": "retry_jobs", "_selected_action": [over.pk, waits.pk]}
    assert "2 did not fail" in told(boss.post(page("jobs_job_changelist"), chosen, follow=True))


def test_the_action_cancels_those_chosen_and_counts_them(boss: Client) -> None:
    first, over, spared = waiting_job(), ended_job(), waiting_job()
    chosen = {"action": "cancel_jobs", "_selected_action": [first.pk, over.pk]}
    asked = boss.post(page("jobs_job_changelist"), chosen)
    assert "Cancel these 2 jobs?" in text(asked)
    assert not Job.objects.filter(state="cancelled").exists()
    answer = boss.post(page("jobs_job_changelist"), {**chosen, "confirmed": "yes"}, follow=True)
    assert "1 had not started and never will; 1 were over already" in told(answer)
    assert list(Job.objects.filter(state="cancelled")) == [first]
    assert Job.objects.get(pk=spared.pk).state == "queued"


# --- workers and the first page ---------------------------------------------------------------------------------------


def test_workers_are_drained_and_resumed_by_who_may(boss: Client) -> None:
    here = worker()
    chosen = {"action": "drain", "_selected_action": [here.pk]}
    staff("onlooker", "view_worker").post(page("workers_worker_changelist"), chosen)
    assert not Worker.objects.get().draining
    boss.post(page("workers_worker_changelist"), chosen)
    assert Worker.objects.get().draining
    assert "draining" in text(boss.get(page("workers_worker_changelist")))
    boss.post(page("workers_worker_changelist"), {**chosen, "action": "resume"})
    assert not Worker.objects.get().draining


def test_a_worker_whose_heartbeat_stopped_is_shown_as_lost(boss: Client) -> None:
    worker(last_heartbeat_at=timezone.now() - timedelta(hours=1))
    assert "state-lost" in text(boss.get(page("workers_worker_changelist")))


def test_the_first_page_counts(boss: Client) -> None:
    ended_job(name="broken")
    job = waiting_job()
    Job.objects.filter(pk=job.pk).update(waiting_reason="capacity")
    worker()
    context = boss.get(page("index")).context
    tiles = {tile["state"]: tile["jobs"] for tile in context["overview"]["states"]}
    assert (tiles["queued"], tiles["failed"], tiles["running"]) == (1, 1, 0)
    assert context["overview"]["waiting"] == [{"reason": "capacity", "jobs": 1, "most": 1}]
    assert [row.name for row in context["overview"]["failures"]] == ["broken"]
    assert (context["workers"]["here"], context["workers"]["slots"], context["workers"]["used"]) == (1, 4, 0)
    assert sum(column.jobs for column in context["overview"]["columns"]) == 2


def test_flower_is_linked_where_there_is_one(boss: Client, settings: Any) -> None:
    for url, linked in ((None, False), ("http://flower.example", True)):
        settings.TOWLINE = settings.TOWLINE.model_copy(update={"TOWLINE_FLOWER_URL": url})
        assert ('href="http://flower.example"' in text(boss.get(page("index")))) is linked
