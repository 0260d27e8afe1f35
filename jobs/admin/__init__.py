"""Jobs in Django's admin: looking, submitting and cancelling. Nothing here writes a state, a spec or a log.

The theme of the whole site is the project's (`towline.admin`); workers add their own pages (`workers.admin`).
"""

from . import attempt, event, job, project, secret
from .traces import span

__all__ = ["attempt", "event", "job", "project", "secret", "span"]
