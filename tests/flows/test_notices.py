"""What a job is said to wait for while its attempt has not begun is what holds it up now, whoever said so before."""

from __future__ import annotations

from jobs.models import Attempt, Job
from jobs.verdicts import Verdict
from workers.beginning import Notice
from workers.drivers.process.driver import ProcessDriver
from workers.drivers.protocol import Holdup
from workers.grip import Grip

from .conftest import make_attempt

FULL = Holdup("quota", "The quota is used up.", Verdict("unschedulable", "The quota is used up."))


def told(attempt: Attempt) -> tuple[str, str]:
    job = Job.objects.get(pk=attempt.job_id)
    return job.waiting_reason, job.waiting_detail


def test_what_an_earlier_owner_said_is_taken_back(driver: ProcessDriver) -> None:
    attempt = make_attempt()
    Notice(Grip(attempt, driver)).show(FULL)
    assert told(attempt) == ("quota", "The quota is used up.")
    adopted = Attempt.objects.select_related("job").get(pk=attempt.pk)
    Notice(Grip(adopted, driver)).show(None)
    assert told(attempt) == ("", "")
