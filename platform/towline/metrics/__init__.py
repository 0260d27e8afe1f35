"""`/metrics`: what Prometheus is told, read from the database at each scrape.

Any web process tells the same, and a restart forgets nothing: what a process keeps between scrapes are sums of rows that can
not change any more (`settled`), so that it need not read them again. Names and owners of jobs are not in it.
"""

from .page import metrics

__all__ = ["metrics"]
