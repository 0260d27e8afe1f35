"""Projects: what jobs are grouped by for people, limits and fairness."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.models import AnonymousUser, User
from django.core.validators import MaxValueValidator, RegexValidator
from django.db import models
from django.db.models import Q

from jobs.limits import LONGEST_DAYS, MOST_BYTES

from .base import Stamped, StampedQuerySet


class ProjectQuerySet(StampedQuerySet["Project"]):
    def open_to(self, user: User | AnonymousUser | None) -> ProjectQuerySet:
        """Those that they may submit to. None is the platform's own commands: all."""
        if user is None or user.is_superuser:
            return self
        return self.filter(
            Q(pk__in=self.model.members.through.objects.filter(user=user.pk).values("project")) | Q(members=None)
        )


class Project(Stamped):
    """Members see all its jobs. A project without members is open: anyone may submit, and sees what is their own."""

    name = models.CharField(
        max_length=63,
        unique=True,
        validators=[RegexValidator(r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", "Use lower-case letters, digits and dashes.")],
    )
    members = models.ManyToManyField(settings.AUTH_USER_MODEL, blank=True, related_name="projects")

    log_keep_days = models.PositiveIntegerField(
        "keep logs of successes, in days",
        null=True,
        blank=True,
        validators=[MaxValueValidator(LONGEST_DAYS)],
        help_text="Empty: as everywhere (TOWLINE_LOG_KEEP_DAYS). 0: for ever.",
    )
    log_keep_days_failed = models.PositiveIntegerField(
        "keep logs of failures, in days",
        null=True,
        blank=True,
        validators=[MaxValueValidator(LONGEST_DAYS)],
        help_text="Empty: as everywhere (TOWLINE_LOG_KEEP_DAYS_FAILED). 0: for ever.",
    )
    log_keep_bytes = models.PositiveBigIntegerField(
        "keep logs up to, in bytes",
        null=True,
        blank=True,
        validators=[MaxValueValidator(MOST_BYTES)],
        help_text="Of this project, as stored (compressed); the oldest go first. Empty or 0: no limit of its own. "
        "All projects together: TOWLINE_LOG_KEEP_BYTES.",
    )

    objects = ProjectQuerySet.as_manager()

    def __str__(self) -> str:
        return self.name
