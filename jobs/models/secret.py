"""Secrets: values that a project's jobs may have in their environment. Written, never shown."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.models import AnonymousUser, User
from django.core.validators import RegexValidator
from django.db import models

from jobs.secrets.references import NAME, NAME_SAYS

from .base import Stamped, StampedQuerySet
from .project import Project


class SecretQuerySet(StampedQuerySet["Secret"]):
    def visible_to(self, user: User | AnonymousUser) -> SecretQuerySet:
        """Of the projects that they may submit to: whoever may use a secret may also replace and delete it."""
        return self.filter(project__in=Project.objects.open_to(user))


class Secret(Stamped):
    """`sealed` is opened by `jobs.secrets.keeping` alone."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="secrets")
    name = models.CharField(max_length=128, validators=[RegexValidator(NAME, f"Use {NAME_SAYS}.")])
    sealed = models.BinaryField(help_text="The value, encrypted.")
    masked = models.BooleanField(default=True, help_text="Whether it is masked in output; too short values are not.")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, editable=False, related_name="+"
    )
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = SecretQuerySet.as_manager()

    class Meta:
        ordering = ["project", "name"]
        constraints = [models.UniqueConstraint(fields=["project", "name"], name="secret_name_once")]

    def __str__(self) -> str:
        return self.name
