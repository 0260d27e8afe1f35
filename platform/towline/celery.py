"""The Celery app. Messages are hints: ids only, acknowledged early, re-sent from the database when they are lost."""

from __future__ import annotations

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "towline.settings")

app = Celery("towline")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["workers"])
