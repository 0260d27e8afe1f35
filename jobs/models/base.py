"""What every table of ours has: when a row was made and last changed, by the database's clock."""

from __future__ import annotations

from typing import Any, TypeVar

from django.db import models

from jobs.clock import Now

M = TypeVar("M", bound=models.Model)


class StampedQuerySet(models.QuerySet[M]):
    """`update` is how rows change here, so it is where `updated_at` is kept."""

    def update(self, **kwargs: Any) -> int:
        kwargs.setdefault("updated_at", Now())
        return super().update(**kwargs)


class Stamped(models.Model):
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            self.updated_at = Now()
            if kwargs.get("update_fields") is not None:
                kwargs["update_fields"] = {*kwargs["update_fields"], "updated_at"}
        super().save(*args, **kwargs)
