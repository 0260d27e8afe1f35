"""The chart is well-formed: Helm takes it, the API server would, and what it refuses it refuses with a remedy."""

from __future__ import annotations

import copy
import tomllib
from typing import Any

import pytest
import yaml

from .rendering import CHART, HERE, SETS, documents, parsed, render, texts, values_of
from .written import described, leaves, matches, readme

# The definitions are read anew for each document, and so not every set is tried with every version.
TRIED = [("1.36", name) for name in SETS] + [("1.37", "full")]
# Of whom Kubernetes knows no schema, as others define them.
OF_OTHERS = {"ServiceMonitor", "ScaledObject", "TriggerAuthentication"}


@pytest.mark.parametrize("name", SETS)
def test_helm_finds_nothing_to_complain_about(name: str) -> None:
    from helm_python import lint

    report = lint(CHART, values_of(name), strict=True, namespace="platform")
    assert report["errors"] == []
    assert [found["error"] for found in report["messages"] if found["severity"] > 1] == []


@pytest.mark.parametrize(("version", "name"), TRIED)
def test_every_document_is_one_that_the_api_server_takes(version: str, name: str) -> None:
    from kubernetes_validate import validate

    checked = [each for each in documents(name) if each["kind"] not in OF_OTHERS]
    assert len(checked) > 5
    for document in checked:
        assert validate(document, version, strict=True) == version


def test_the_validation_sees_a_field_that_is_not_there() -> None:
    from kubernetes_validate import ValidationError, validate

    broken = copy.deepcopy(documents("minimal", "StatefulSet")[0])
    broken["spec"]["template"]["spec"]["restartPolicies"] = "Never"
    with pytest.raises(ValidationError, match="restartPolicies"):
        validate(broken, "1.36", strict=True)


@pytest.mark.parametrize("name", ["minimal", "full"])
def test_the_rendering_is_the_one_that_was_looked_at(name: str) -> None:
    text = yaml.safe_dump_all(documents(name), sort_keys=False, width=120)
    assert matches(HERE / "snapshots" / f"{name}.yaml", text), "look at what changed: make chart SNAPSHOTS=write"


def test_the_readme_lists_every_value_as_it_is() -> None:
    assert matches(CHART / "README.md", readme()), "make chart SNAPSHOTS=write"


def test_every_value_has_a_meaning() -> None:
    told = [path for path, _, _ in described()]
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert [
        leaf for leaf in leaves(values) if not any(leaf == path or leaf.startswith(f"{path}.") for path in told)
    ] == []


def test_a_document_has_a_name_of_its_own() -> None:
    for name in SETS:
        keys = [(each["kind"], each["metadata"].get("namespace"), each["metadata"]["name"]) for each in documents(name)]
        assert len(keys) == len(set(keys))


def test_the_version_is_the_applications() -> None:
    project = tomllib.loads((CHART.parents[1] / "pyproject.toml").read_text())["project"]
    assert yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"] == project["version"]


def test_names_stay_short_enough_whatever_the_release_is_called() -> None:
    rendered = render(values_of("full"), release="a" * 53)
    names = [each["metadata"]["name"] for each in parsed(rendered)]
    # What a StatefulSet adds to its name for a label is "-" and ten characters.
    assert max(map(len, names)) <= 63
    assert all(len(name) <= 52 for name in names if name.endswith("-run") and not name.startswith("platform"))


def test_a_number_of_a_value_arrives_as_it_was_written() -> None:
    numbers = {"jobs": {"runAs": 1000650000}, "run": {"labels": {"rack": 20000000}}}
    settings = {"TOWLINE_LOG_KEEP_BYTES": 10000000000, "TOWLINE_CPU_OVERCOMMIT": 1.5}
    rendered = parsed(render({**values_of("minimal"), **numbers, "settings": settings}))
    (workers,) = [each for each in rendered if each["kind"] == "StatefulSet"]
    (container,) = workers["spec"]["template"]["spec"]["containers"]
    told = {each["name"]: each.get("value") for each in container["env"]}
    assert told["TOWLINE_KUBERNETES_RUN_AS"] == "1000650000"
    assert told["TOWLINE_LABELS"] == "rack=20000000"
    assert (told["TOWLINE_LOG_KEEP_BYTES"], told["TOWLINE_CPU_OVERCOMMIT"]) == ("10000000000", "1.5")


def test_the_notes_name_the_next_steps() -> None:
    notes = texts("full")["towline/templates/NOTES.txt"]
    for step in ("helm -n platform test towline", "doctor", "createsuperuser", "token alice --create", "/admin/"):
        assert step in notes


def test_an_ingress_with_tls_is_https_for_web_for_jobs_and_for_users() -> None:
    ingress = {"enabled": True, "hosts": ["a.example.org"], "tls": [{"secretName": "tls", "hosts": ["a.example.org"]}]}
    rendered = render({**values_of("minimal"), "ingress": ingress})
    (web,) = [
        each for each in parsed(rendered) if each["metadata"]["name"] == "towline-web" and each["kind"] == "Deployment"
    ]
    told = {each["name"]: each.get("value") for each in web["spec"]["template"]["spec"]["containers"][0]["env"]}
    assert told["TOWLINE_HTTPS"] == "true"
    assert told["TOWLINE_KUBERNETES_SERVICE_URL"] == "https://a.example.org"
    assert "https://a.example.org/admin/" in rendered["towline/templates/NOTES.txt"]


@pytest.mark.parametrize(("https", "tls_hosts", "told"), [
    (False, ["a.example.org"], "http"), (True, [], "https"), (None, ["flower.example.org"], "http"), (None, None, "https"),
])  # fmt: skip
def test_whether_users_come_over_tls_can_be_said(https: bool | None, tls_hosts: list[str] | None, told: str) -> None:
    tls = [{"secretName": "tls", **({"hosts": tls_hosts} if tls_hosts else {})}] if tls_hosts != [] else []
    ingress = {"enabled": True, "hosts": ["a.example.org"], "flowerHost": "flower.example.org", "tls": tls}
    rendered = render({**values_of("minimal"), "ingress": ingress, "https": https})
    assert f"{told}://a.example.org/admin/" in rendered["towline/templates/NOTES.txt"]


def test_the_notes_tell_when_jobs_are_given_no_address_of_web() -> None:
    for more, is_told in (
        ({}, False),
        ({"https": True}, True),
        ({"https": True, "jobs": {"serviceUrl": "https://a.b"}}, False),
    ):
        notes = render({**values_of("minimal"), **more})["towline/templates/NOTES.txt"]
        assert ("jobs.serviceUrl is empty" in notes) is is_told


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({}, r"secrets\.existingSecret: name a Secret in namespace platform whose key TOWLINE_SECRET_KEY holds"),
    ({"secrets": {"secretKey": {"existingSecret": "k"}}}, "whose key DATABASE_URL holds postgresql://"),
    ({"jobs": {"namespace": "platform"}}, r"jobs\.namespace: jobs must not run in platform"),
    ({"jobs": {"projectNamespaces": {"art": "platform"}}}, r"jobs must not run in platform"),
    ({"logs": {"storage": "s3"}}, r"logs\.s3\.bucket: name the bucket"),
    ({"settings": {"TOWLINE_HTTPS": True}}, r"settings\.TOWLINE_HTTPS: the chart sets this one itself"),
    ({"settings": {"DATABASE_URL": "postgresql://a:b@c/d"}}, "DATABASE_URL.*does not match pattern"),
    ({"web": {"replica": 3}}, "additional properties 'replica' not allowed"),
    ({"colour": "red"}, "additional properties 'colour' not allowed"),
    ({"web": {"replicas": "three"}}, "/web/replicas.*want integer"),
    ({"logs": {"storage": "tape"}}, "must be one of 'none', 's3', 'volume'"),
    ({"jobs": {"namespace": "Batch_Jobs"}}, "does not match pattern"),
    ({"image": {"digest": "latest"}}, "does not match pattern"),
    ({"ingress": {"enabled": True}}, r"ingress\.hosts: name the host"),
    ({"serviceMonitor": {"enabled": True, "of": "flower"}}, r"serviceMonitor\.of: Flower is off"),
    ({"run": {"kubeconfig": {"existingSecret": "clusters"}}}, r"kubeconfig\.contexts: name the contexts"),
    ({"run": {"kubeconfig": {"contexts": ["east"]}}}, r"kubeconfig\.existingSecret: name the Secret"),
    ({"jobs": {"runAs": 0}}, "/jobs/runAs.*got 0, want 1"),
    ({"web": {"podLabels": {"tier": 1}}}, "/web/podLabels/tier.*got number, want string"),
    ({"ingress": {"annotations": {"proxy-read-timeout": 3600}}}, "proxy-read-timeout.*got number, want string"),
    ({"imagePullSecrets": ["registry"]}, "/imagePullSecrets/0.*got string, want object"),
    ({"web": {"dataSize": "4gi"}}, "does not match pattern"),
    ({"ingress": {"enabled": True, "hosts": ["*.example.org"]}}, "does not match pattern"),
    ({"run": {"autoscaling": {"kind": "hpa", "minReplicas": 0}}}, r"minReplicas: an HPA keeps at least 1"),
    ({"run": {"autoscaling": {"kind": "keda", "minReplicas": 30}}}, "minReplicas is more than maxReplicas"),
    (
        {"flower": {"enabled": True}, "ingress": {"enabled": True, "hosts": ["a.b"], "flowerHost": "f.b"}},
        r"networkPolicies\.flowerFrom: name the peers of your ingress",
    ),
]


@pytest.mark.parametrize(("values", "words"), REFUSED, ids=lambda case: str(case)[:40])
def test_what_can_not_be_right_is_refused_by_name(values: dict[str, Any], words: str) -> None:
    from helm_python import HelmError

    given = values if "secrets" in values or not values else {**values_of("minimal"), **values}
    with pytest.raises(HelmError, match=f"(?s){words}"):
        render(given)
