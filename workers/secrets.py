"""An attempt's secrets: looked up once, right before its start, and kept with it, encrypted, until it is over.

Whoever goes on with the attempt has from there what its container was given, whatever became of the secrets meanwhile.
"""

from __future__ import annotations

import orjson

from jobs.models import Attempt, Job, Project
from jobs.secrets.keeping import SecretMissing, give_out
from jobs.secrets.sealing import Unreadable, seal, unseal
from jobs.spec import ENVIRONMENT_BYTES
from jobs.verdicts import Verdict

from .drivers.protocol import Refused


def given(attempt: Attempt) -> dict[str, str]:
    """By variable, what it was given; nothing before. Raises `Refused` when that can't be read any more."""
    try:
        values: dict[str, str] = orjson.loads(unseal(attempt.secrets)) if attempt.secrets else {}
    except Unreadable as error:
        raise Refused(_unreadable(error)) from None
    return values


def look_up(attempt: Attempt) -> tuple[dict[str, str], bytes]:
    """What its spec names, by variable; and the same to be kept. Raises `Refused`."""
    job = attempt.job
    if not Project.objects.open_to(job.owner).filter(pk=job.project_id).exists():
        raise Refused(_denied(job))
    try:
        values = give_out(job.wanted.secrets, job.project_id)
    except SecretMissing as error:
        raise Refused(_missing(error.name, job.project.name)) from None
    except Unreadable as error:
        raise Refused(_unreadable(error)) from None
    if (size := sum(len(value.encode()) for value in values.values())) > ENVIRONMENT_BYTES:
        raise Refused(_too_much(size))
    return values, seal(orjson.dumps(values).decode())


def _denied(job: Job) -> Verdict:
    return Verdict(
        "policy_denied",
        f"The job's owner may no longer use the secrets of project {job.project.name}.",
        (f"owner: {job.owner}",),
        "Let a member of the project submit it.",
    )


def _too_much(size: int) -> Verdict:
    return Verdict(
        "invalid_spec",
        "The job's secrets are too much for an environment.",
        (f"{size} bytes, of at most {ENVIRONMENT_BYTES}",),
        "Name fewer of them, or shorter ones.",
    )


def _missing(name: str, project: str) -> Verdict:
    return Verdict(
        "secret_missing",
        f"The secret {name} was deleted before the job started.",
        (f"project {project} has no secret {name}",),
        f"Make it again (`manage.py secret set {name} --project {project}`), then try the job again.",
    )


def _unreadable(error: Unreadable) -> Verdict:
    return Verdict(
        "secret_missing",
        "The job's secrets can't be decrypted, so that its output could not be masked.",
        (str(error),),
        "Give all processes the same TOWLINE_SECRET_KEY, and the one before in TOWLINE_SECRET_KEY_FALLBACKS; then try it again.",
    )
