"""`/metrics`: what Prometheus is told, read from the database at each scrape.

Any web process tells the same, and a restart forgets nothing: sums of rows that can not change any more (`settled`) are
kept, by the process between scrapes and in the database for the next one (`kept`). Names and owners of jobs are not in it.
"""

from .page import metrics

__all__ = ["metrics"]
