"""The Django project: settings, the Celery app, urls, ASGI, health, and the stack that `manage.py up` runs."""

from .celery import app as celery_app

__all__ = ["celery_app"]
