"""The numbers and words by which traces are judged. Pure values.

The SQL functions (`tracing/migrations/`) have the same; who changes one writes a migration, and a test compares the answers.
"""

from __future__ import annotations

import re

FAILED = ("failed", "timeout", "lost")

# A span is slow beyond SLOW_TIMES its normal, and by no less than SLOW_LEAST_MS: 3 ms instead of 1 ms mean nothing.
SLOW_TIMES = 3
SLOW_LEAST_MS = 10
HISTORY_MOST = 100
HISTORY_LEAST = 4
GAP_MS = 5000

NETWORK_GAP_MS = 60_000
DEGRADED_MS = 120_000

CONNECTION = re.compile(
    "connect|econn|refused|unreachable|no route to host|broken pipe|epipe|socket hang up|name or service not known"
    "|name resolution|no such host|getaddrinfo|enotfound",
    re.IGNORECASE,
)
TIME_OUT = re.compile("timed?[ _-]?out|deadline", re.IGNORECASE)
MODEL = re.compile("model|inferenc|predict|generat", re.IGNORECASE)
MODEL_ATTRIBUTE = re.compile("(^|[._])model([._]|$)", re.IGNORECASE)
OUR_ATTRIBUTES = "towline."
LABELS = ("model_id", "model.id")  # what is of a model, which is mostly all of an execution

# In this order the first that fits is the cause.
NETWORK_TIMEOUT, CONNECTION_FAILURE, SERVICE_TIMEOUT, PERFORMANCE_DEGRADATION, MODEL_EXECUTION_FAILURE, UNKNOWN = (
    CAUSES
) = (
    "NETWORK_TIMEOUT",
    "CONNECTION_FAILURE",
    "SERVICE_TIMEOUT",
    "PERFORMANCE_DEGRADATION",
    "MODEL_EXECUTION_FAILURE",
    "UNKNOWN",
)

RECOMMENDATIONS = {
    NETWORK_TIMEOUT: "Look at the network and the queue between this operation and the next: for that long nobody worked on it.",
    CONNECTION_FAILURE: "Check that what it connects to is up, and is reached from there: address, DNS, firewall, credentials.",
    SERVICE_TIMEOUT: "See why the service is slow to answer, or allow it more time.",
    PERFORMANCE_DEGRADATION: "Compare it with earlier runs phase by phase; look for contention of cpus, memory, disk or network.",
    MODEL_EXECUTION_FAILURE: "Read the program's log and its input: the model or program itself failed.",
    UNKNOWN: "Read the log of the failed operation and its error; the trace alone does not tell why.",
}
OTHERWISE = "Read the evidence of the verdict and the log of the attempt."

# Verdicts for which there is a cause of that name; of any other the code is the cause, in capitals.
CAUSE_OF_VERDICT = {
    "timeout_queue": SERVICE_TIMEOUT,
    "timeout_start": SERVICE_TIMEOUT,
    "timeout_run": SERVICE_TIMEOUT,
    "timeout_idle": SERVICE_TIMEOUT,
    "image_registry_unreachable": CONNECTION_FAILURE,
    "engine_unavailable": CONNECTION_FAILURE,
    "exit_code": MODEL_EXECUTION_FAILURE,
    "killed_by_signal": MODEL_EXECUTION_FAILURE,
}

# It says that the program failed, and nothing of why: what the program says itself is told with it.
SAYS_LITTLE = "exit_code"

SEQUENCE_MOST = 200
SPANS_LOOKED_AT = 20_000
UNUSUAL_FEWER_THAN = 500
UNUSUAL_PHASES = 50
FAILURES_LOOKED_AT = 10_000
ALIKE_MOST = 500
