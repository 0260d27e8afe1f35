"""The chart, rendered with a set of values as Helm itself renders it; and what is asked of the documents that come out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
CHART = HERE.parents[2] / "charts" / "towline"
SETS = tuple(sorted(path.stem for path in (HERE / "values").glob("*.yaml")))
NAMESPACE = "platform"
Document = dict[str, Any]


def values_of(name: str) -> dict[str, Any]:
    return dict(yaml.safe_load((HERE / "values" / f"{name}.yaml").read_text()))


def render(values: Mapping[str, Any], release: str = "towline") -> dict[str, str]:
    """Each template's text. The SDK is three copies of 80 MB: it is loaded by who renders."""
    from helm_python import Chart

    with Chart.load(CHART) as chart:
        return chart.render(dict(values), name=release, namespace=NAMESPACE)


@cache
def texts(name: str) -> Mapping[str, str]:
    return render(values_of(name))


def parsed(rendered: Mapping[str, str]) -> list[Document]:
    found = [text for path, text in sorted(rendered.items()) if path.endswith(".yaml")]
    return [document for text in found for document in yaml.safe_load_all(text) if document]


@cache
def all_documents(name: str) -> tuple[Document, ...]:
    return tuple(parsed(texts(name)))


def documents(name: str, *kinds: str) -> list[Document]:
    """Of a set of values; of some kinds, or of all. Not to be changed: they are everybody's."""
    return [document for document in all_documents(name) if not kinds or document["kind"] in kinds]


def one(name: str, kind: str, ending: str = "") -> Document:
    (found,) = [one for one in documents(name, kind) if one["metadata"]["name"].endswith(ending)]
    return found


@dataclass(frozen=True)
class Pod:
    """A document that makes pods, and the pod that it makes."""

    role: str
    labels: Mapping[str, str]
    spec: Document

    @property
    def container(self) -> Document:
        (found,) = self.spec["containers"]
        return dict(found)

    @property
    def environment(self) -> list[Document]:
        return list(self.container.get("env", ()))


def pods(name: str) -> Iterator[Pod]:
    for document in documents(name, "Deployment", "StatefulSet", "Job", "Pod"):
        template = document if document["kind"] == "Pod" else document["spec"]["template"]
        labels = template["metadata"]["labels"]
        yield Pod(labels["app.kubernetes.io/component"], labels, template["spec"])


def pod(name: str, role: str) -> Pod:
    (found,) = [each for each in pods(name) if each.role == role]
    return found


def chosen(selector: Mapping[str, str], name: str) -> list[str]:
    """The roles whose pods have all these labels."""
    return [each.role for each in pods(name) if selector.items() <= each.labels.items()]
