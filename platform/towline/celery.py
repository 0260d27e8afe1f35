"""The Celery app. Messages are hints: ids only, no copies of them kept; what one would start is found in the database, too."""

from __future__ import annotations

import os

from celery import Celery

from .broker import transport

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "towline.settings")

transport.install()
app = Celery("towline")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["workers"])
