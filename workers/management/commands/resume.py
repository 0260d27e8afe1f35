"""`manage.py resume NAME`: let a drained worker take jobs again."""

from __future__ import annotations

from workers.services import resume

from .drain import WorkerCommand


class Command(WorkerCommand):
    do = staticmethod(resume)
    done = "takes jobs again"
    not_needed = "was not draining"
    help = "Let drained workers take jobs again."
    examples = """
manage.py resume run@host1
"""
