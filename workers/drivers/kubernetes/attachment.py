"""The Secret that goes with an attempt: the values of its secret variables, its script, its stdin. Pure.

It is made after its pod, and belongs to it: the cluster deletes it when the pod is gone, whoever deletes that. Nobody of
ours ever reads it. All of it is mounted under `/run/towline`: `secrets/NAME`, `script` and `stdin`; the secret variables are
in the environment besides. The files are readable for the program's group, and for nobody else: see `identity`.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from typing import Any

from jobs.verdicts import Verdict
from workers.drivers.protocol import ContainerSpec, Refused

FOLDER = "/run/towline"
SCRIPT = f"{FOLDER}/script"
STDIN = f"{FOLDER}/stdin"
VOLUME = "towline"
MOST_BYTES = 1024**2  # what the API server takes for a Secret
READABLE, EXECUTABLE = 0o440, 0o555
MASKED = "***"
_KEY = re.compile(r"[-._a-zA-Z0-9]{1,240}")


def needs_secret(spec: ContainerSpec) -> bool:
    return bool(_variables(spec)) or spec.script is not None or spec.stdin is not None


def secret_name(spec: ContainerSpec, nonce: str) -> str:
    """`nonce` makes it that of one pod alone: a namesake made later never meets the one that is still being deleted."""
    return f"{spec.name}-{nonce}" if nonce else spec.name


def secret_manifest(spec: ContainerSpec, name: str, namespace: str, pod_uid: str) -> dict[str, Any] | None:
    """None when it needs none. Raises `Refused` for what does not fit in."""
    if not needs_secret(spec):
        return None
    contents = dict(_contents(spec))
    _must_fit(spec, contents)
    owner = {"apiVersion": "v1", "kind": "Pod", "name": spec.name, "uid": pod_uid}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": dict(spec.labels),
            "ownerReferences": [owner],
        },
        "type": "Opaque",
        "immutable": True,
        "data": {key: base64.b64encode(value.encode()).decode() for key, value in contents.items()},
    }


def masked(secret: Mapping[str, Any]) -> dict[str, Any]:
    """For the eyes of people: without values."""
    shown = {key: value for key, value in secret.items() if key != "data"}
    return {**shown, "stringData": dict.fromkeys(secret["data"], MASKED)}


def volume(spec: ContainerSpec, name: str) -> dict[str, Any]:
    return {"name": VOLUME, "secret": {"secretName": name, "defaultMode": READABLE, "items": list(_items(spec))}}


def variables(spec: ContainerSpec, name: str) -> Iterator[dict[str, Any]]:
    """The environment: what is secret by reference, the rest as it is.

    The kubelet replaces `$(NAME)` in plain values, and makes one of two dollars; it does neither in what is referred to.
    """
    for key, value in spec.env.items():
        if key in spec.secret_env:
            yield {"name": key, "valueFrom": {"secretKeyRef": {"name": name, "key": _key(key)}}}
        else:
            yield {"name": key, "value": literal(value)}


def literal(text: str) -> str:
    """So that it arrives as it is: in values, commands and arguments, two dollars stand for one."""
    return text.replace("$", "$$")


def _variables(spec: ContainerSpec) -> list[str]:
    return [key for key in spec.env if key in spec.secret_env]


def _key(variable: str) -> str:
    return f"env.{variable}"


def _contents(spec: ContainerSpec) -> Iterator[tuple[str, str]]:
    for variable in _variables(spec):
        if not _KEY.fullmatch(variable):
            raise Refused(_invalid(f"secrets: {variable!r} can't be the name of a variable there.", "Rename it."))
        yield _key(variable), spec.env[variable]
    if spec.script is not None:
        yield "script", spec.script
    if spec.stdin is not None:
        yield "stdin", spec.stdin


def _items(spec: ContainerSpec) -> Iterator[dict[str, Any]]:
    for variable in _variables(spec):
        yield {"key": _key(variable), "path": f"secrets/{variable}", "mode": READABLE}
    if spec.script is not None:
        yield {"key": "script", "path": "script", "mode": EXECUTABLE}
    if spec.stdin is not None:
        yield {"key": "stdin", "path": "stdin", "mode": READABLE}


def _must_fit(spec: ContainerSpec, contents: Mapping[str, str]) -> None:
    sizes = {key: len(value.encode()) for key, value in contents.items()}
    if sum(sizes.values()) <= MOST_BYTES:
        return
    largest = max(sizes, key=sizes.__getitem__)
    fields = "script, stdin and secrets" if len(sizes) > 1 else largest.partition(".")[0]
    raise Refused(
        _invalid(
            f"{fields}: {sum(sizes.values())} bytes, of which {largest} has {sizes[largest]}; a Secret holds {MOST_BYTES}.",
            f"Make `{largest.removeprefix('env.')}` smaller, put it into the image, or have the job fetch it.",
        )
    )


def _invalid(problem: str, remedy: str) -> Verdict:
    return Verdict("invalid_spec", "A cluster can't carry out what was asked for.", (problem,), remedy)
