"""Secrets kept, replaced, and given out. A value is in clear only between here and a container's environment."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.db.models import F
from pydantic import SecretStr

from jobs.clock import Now
from jobs.models import Project, Secret

from .references import SecretReference
from .sealing import reseal, seal, unseal
from .shapes import is_masked


class SecretExists(Exception):
    """There is one of this name in the project."""


class SecretMissing(Exception):
    """`name` is no secret of the project."""

    def __init__(self, name: str) -> None:
        super().__init__(f"no secret {name!r}")
        self.name = name


def make(project: Project, name: str, value: SecretStr, by: User | None) -> Secret:
    """Raises SecretExists."""
    try:
        with transaction.atomic():
            return Secret.objects.create(project=project, name=name, created_by=by, **sealed(value))
    except IntegrityError as error:
        if Secret.objects.filter(project=project, name=name).exists():
            raise SecretExists from error
        raise


def replace(secret: Secret, value: SecretStr) -> None:
    """Of attempts that have the value before, it stays: each masks what it was given."""
    Secret.objects.filter(pk=secret.pk).update(**sealed(value))
    secret.refresh_from_db()


def sealed(value: SecretStr) -> dict[str, object]:
    text = value.get_secret_value()
    return {"sealed": seal(text), "masked": is_masked(text)}


def unknown(references: Sequence[SecretReference], project: Project) -> dict[str, list[str]]:
    """Those that are no secrets of the project, by dotted field of the spec, with the remedy."""
    known = set(
        Secret.objects.filter(project=project, name__in=[one.name for one in references]).values_list("name", flat=True)
    )
    return {
        f"secrets.{n}": [
            f"no secret {one.name} in project {project.name}: make it first (POST /api/v1/secrets/, "
            f"or `manage.py secret set {one.name} --project {project.name}`)"
        ]
        for n, one in enumerate(references)
        if one.name not in known
    }


def give_out(references: Iterable[SecretReference], project_id: int) -> dict[str, str]:
    """Values by environment variable, as they are now. Raises SecretMissing, and Unreadable."""
    references = list(references)
    wanted = Secret.objects.filter(project_id=project_id, name__in={one.name for one in references})
    found = {secret.name: secret for secret in wanted}
    if missing := [one.name for one in references if one.name not in found]:
        raise SecretMissing(missing[0])
    given = {one.env: unseal(found[one.name].sealed) for one in references}
    wanted.update(last_used_at=Now(), updated_at=F("updated_at"))
    return given


def reseal_all() -> int:
    """Bring every one to the key of today; how many there are. Raises Unreadable, and changes nothing then."""
    with transaction.atomic():
        secrets = list(Secret.objects.select_for_update())
        for secret in secrets:
            Secret.objects.filter(pk=secret.pk).update(sealed=reseal(secret.sealed), updated_at=F("updated_at"))
    return len(secrets)
