"""The tables of jobs, a file each."""

from .attempt import Attempt, LogChunk
from .base import Stamped, StampedQuerySet
from .dependency import Dependency
from .event import Event
from .installation import Installation, installation_key
from .job import WAITING_REASONS, Job, JobQuerySet
from .project import Project
from .secret import Secret
from .usage import UsageSeries

__all__ = [
    "WAITING_REASONS",
    "Attempt",
    "Dependency",
    "Event",
    "Installation",
    "Job",
    "JobQuerySet",
    "LogChunk",
    "Project",
    "Secret",
    "Stamped",
    "StampedQuerySet",
    "UsageSeries",
    "installation_key",
]
