"""Projects: what jobs are grouped by for people, limits and fairness."""

from __future__ import annotations

from django.conf import settings
from django.core.validators import RegexValidator
from django.db import models

from .base import Stamped, StampedQuerySet


class Project(Stamped):
    """Members see all its jobs. A project without members is open: anyone may submit, and sees what is their own."""

    name = models.CharField(
        max_length=63,
        unique=True,
        validators=[RegexValidator(r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", "Use lower-case letters, digits and dashes.")],
    )
    members = models.ManyToManyField(settings.AUTH_USER_MODEL, blank=True, related_name="projects")

    objects = StampedQuerySet["Project"].as_manager()

    def __str__(self) -> str:
        return self.name
