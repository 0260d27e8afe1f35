"""Workers, and what Celery stored of their tasks, in Django's admin."""

from . import task_result, worker

__all__ = ["task_result", "worker"]
