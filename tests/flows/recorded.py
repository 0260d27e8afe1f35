"""Traces as other systems send them over OTLP: the JSON of a request each, in the spellings and with the habits of its sender.

`at` and lengths are seconds after one moment, three weeks ago. What a trace is of stands where that system would say it.
"""

from __future__ import annotations

import time
from typing import Any

BEGAN = int(time.time()) - 21 * 86_400
Json = dict[str, Any]


def known(**said: Any) -> list[Json]:
    """Attributes; two underscores are a dot."""
    return [{"key": key.replace("__", "."), "value": _value(value)} for key, value in said.items()]


def _value(value: Any) -> Json:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    return {"doubleValue": value} if isinstance(value, float) else {"stringValue": value}


def step(trace: int, number: int, name: str, at: float, seconds: float, above: int = 0, **more: Any) -> Json:
    """A span. `said`: its attributes; what else is given stands as it is."""
    return {
        "traceId": f"{trace:032x}",
        "spanId": f"{trace << 16 | number:016x}",
        "parentSpanId": f"{trace << 16 | above:016x}" if above else "",
        "name": name,
        "startTimeUnixNano": _ns(at),
        "endTimeUnixNano": _ns(at + seconds),
        "attributes": known(**more.pop("said", {})),
        **more,
    }


def _ns(at: float) -> str:
    return str(BEGAN * 10**9 + round(at * 10**9))


def thrown(kind: str, message: str, **more: Any) -> Json:
    """As an event of a span."""
    said = {
        "exception__type": kind,
        "exception__message": message,
        "exception__stacktrace": f"at line 1\n{kind}",
        **more,
    }
    return {"name": "exception", "timeUnixNano": _ns(1), "attributes": known(**said)}


def failed(message: str = "") -> Json:
    return {"code": 2, "message": message}


def sent(*groups: tuple[Json, list[Json]]) -> Json:
    """One request: each resource with its spans."""
    return {
        "resourceSpans": [
            {"resource": {"attributes": known(**said)}, "scopeSpans": [{"scope": {"name": "lib"}, "spans": spans}]}
            for said, spans in groups
        ]
    }


def ride(execution: int) -> list[Json]:
    """A web shop's request through four services, one request each, what is below first; a cache miss is a 404, and all is well."""
    who = {"job_id": f"ride-{execution}", "execution_id": execution, "region": "eu"}
    return [
        sent(({"service__name": "redis", **who}, [step(1, 5, "GET", 0.33, 0.01, 4, kind=3)])),
        sent(({"service__name": "driver", **who}, [
            step(1, 4, "FindNearest", 0.32, 0.2, 1, kind="SPAN_KIND_SERVER", said={"rpc__grpc__status_code": 0}),
        ])),
        sent(({"service__name": "customer", **who}, [
            step(1, 2, "GET /customer", 0.01, 0.3, 1, kind=2, said={"http__response__status_code": 404}),
            step(1, 3, "SELECT customers", 0.02, 0.28, 2, kind=3, events=[thrown("CacheMiss", "no such key")]),
        ])),
        sent(({"service__name": "frontend", **who}, [
            step(1, 1, "HTTP GET /dispatch", 0, 0.7, kind=2, status={"code": "STATUS_CODE_OK"}),
        ])),
    ]  # fmt: skip


def checkout(execution: int) -> Json:
    """Two services in one request; the payment can't be reached, and whoever called fails with it."""
    said = {"rpc__system": "grpc", "rpc__grpc__status_code": 14}
    why = 'rpc error: code = Unavailable desc = connection error: desc = "transport: error while dialing"'
    return sent(
        ({"service__name": "checkout", "k8s__pod__name": "checkout-5d9f"}, [
            step(2, 1, "PlaceOrder", 0, 3, kind=2, status=failed(why), said={"execution.id": execution, "job.id": "order-7"}),
            step(2, 2, "PaymentService/Charge", 1, 1.5, 1, kind=3, status=failed(why), said=said),
        ]),
        ({"service__name": "shipping"}, [step(2, 3, "quote", 0.1, 0.5, 1, kind=2)]),
    )  # fmt: skip


def workflow(execution: int) -> Json:
    """Steps of pods; nobody had room for the second one for 80 s."""
    who = {"job_id": "etl-x7b2", "execution_id": execution}
    return sent(({"service__name": "argo-workflows", **who}, [
        step(3, 1, "etl-x7b2", 0, 130), step(3, 2, "extract", 1, 9, 1), step(3, 3, "load", 90, 35, 1),
    ]))  # fmt: skip


def activity(execution: int) -> Json:
    """In snake case with names of enums, as older exporters write; the time-out is in the exception alone."""
    late = thrown("io.temporal.failure.TimeoutFailure", "activity StartToClose timeout", exception__escaped="true")
    late = {"name": late["name"], "time_unix_nano": late["timeUnixNano"], "attributes": _snake(late["attributes"])}
    span = {
        "trace_id": f"{4:032X}", "span_id": f"{41:016X}", "name": "RunActivity:Resize",
        "start_time_unix_nano": int(_ns(0)), "end_time_unix_nano": int(_ns(10)), "kind": "SPAN_KIND_SERVER", "events": [late],
    }  # fmt: skip
    resource = {"attributes": _snake(known(service__name="temporal-worker", job_id="resize", execution_id=execution))}
    return {"resource_spans": [{"resource": resource, "scope_spans": [{"spans": [span]}]}]}


def _snake(attributes: list[Json]) -> list[Json]:
    names = {"stringValue": "string_value", "intValue": "int_value"}
    return [
        {"key": each["key"], "value": {names[kind]: value for kind, value in each["value"].items()}}
        for each in attributes
    ]


def task_run(execution: int) -> Json:
    """Well, but three minutes of it."""
    who = {"job_id": "build", "execution_id": execution}
    return sent(
        ({"service__name": "tekton"}, [step(5, 1, "TaskRun:reconcile", 0, 181, said=who), step(5, 2, "pod", 1, 179, 1)])
    )


def chat(execution: int) -> Json:
    """Of a model, by the conventions for them; the status is left to be guessed."""
    asked = {
        "gen_ai__operation__name": "chat",
        "gen_ai__request__model": "llama-3.2-1b",
        "error__type": "context_length",
    }
    who = {"towline__job_id": "bench-1", "towline__execution_id": str(execution)}
    return sent(({"service__name": "bench", "cloud__region": "us-east-1", **who}, [
        step(6, 1, "question 4", 0, 2, status={"code": "Error"}), step(6, 2, "chat llama-3.2-1b", 0.5, 1, 1, said=asked),
    ]))  # fmt: skip


def build(execution: int) -> Json:
    """Steps of a pipeline, each of which says all that it is of; the second failed, and nobody knows why."""
    who = {"job_id": "ci-9", "execution_id": execution, "model_id": "none", "region": "eu"}
    return sent(({"service__name": "ci"}, [
        step(7, 1, "pipeline", 0, 60, said=who, status=failed("failure")), step(7, 2, "checkout", 1, 3, 1, said=who),
        step(7, 3, "test", 5, 50, 1, said=who, status=failed("Process completed with exit code 1.")),
    ]))  # fmt: skip


def clocks(execution: int) -> Json:
    """Two machines whose clocks differ by seconds, a span that ends before it began, one that nobody sent the parent of."""
    who = {"job_id": "edge", "execution_id": execution}
    return sent(({"service__name": "edge", **who}, [
        step(8, 1, "sync", 0, 5), step(8, 2, "device", -3, 1, 1), step(8, 3, "device", 4.9, 3, 1),
        step(8, 4, "flush", 2, -1, 1), step(8, 5, "", 3, 0, 1), step(8, 7, "stray", 3, 1, 6),
    ]))  # fmt: skip
