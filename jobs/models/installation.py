"""Which Towline this is: one row, made by the first migration."""

from __future__ import annotations

from functools import cache

from django.db import models

from .base import Stamped


class Installation(Stamped):
    """`key` starts every container's name and labels it, so that two Towlines on one engine leave each other alone."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1, editable=False)
    key = models.CharField(max_length=16, unique=True, editable=False)
    sums = models.JSONField(null=True, editable=False, help_text="Of the past, and up to where. See `towline.metrics`.")

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="one_installation")]

    def __str__(self) -> str:
        return self.key


@cache
def installation_key() -> str:
    return Installation.objects.get().key
