"""What is asked of a cluster for a job, document by document."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from typing import Any

import kubernetes_validate
import pytest

from tests.unit.drivers.kubernetes.pods import LABELS, spec
from workers.drivers.kubernetes.attachment import secret_manifest
from workers.drivers.kubernetes.manifest import pod_manifest, preview, secret_of
from workers.drivers.kubernetes.options import Options
from workers.drivers.protocol import ContainerSpec, Mount, Refused

FULL = spec(
    command=("run", "$HOME", "$(date)", "$$"),
    entrypoint=("tool",),
    env={"PLAIN": "$(PATH) $$", "TOKEN": "hush"},
    secret_env=frozenset({"TOKEN"}),
    working_dir="/work",
    user="1000:2000",
    tty=True,
    cpus=0.25,
    memory_bytes=1024**3,
    disk_bytes=2 * 1024**3,
    gpus=2,
    shm_bytes=32 * 1024**2,
    network="none",
    read_only=True,
    arch="arm64",
    region="eu",
    requires={"disk": "ssd"},
    grace_seconds=7.2,
    deadline_seconds=90.5,
)
OPTIONS = Options(
    tolerations=[{"key": "jobs", "operator": "Exists"}],
    priority_class="low",
    pull_secrets=["registry"],
    runtime_class="gvisor",
    service_url="http://towline.example",
)


def body(asked: ContainerSpec, options: Options = OPTIONS) -> dict[str, Any]:
    told: dict[str, Any] = pod_manifest(asked, options)["spec"]
    return told


def container(asked: ContainerSpec, options: Options = OPTIONS) -> dict[str, Any]:
    told: dict[str, Any] = body(asked, options)["containers"][0]
    return told


def expanded(text: str, env: dict[str, str]) -> str:
    """As the kubelet does it: two dollars are one, `$(NAME)` a variable's value, anything else is itself."""
    return re.sub(r"\$\$|\$\((\w+)\)", lambda found: env.get(found[1], found[0]) if found[1] else "$", text)


def test_every_document_is_one_that_a_cluster_knows() -> None:
    asked = [FULL, spec(), spec(script="#!/bin/sh\n"), spec(command=("cat",), stdin="x")]
    for document in [each for one in asked for each in preview(one, OPTIONS)]:
        kubernetes_validate.validate(document, "1.36", strict=True)


def test_a_pod_has_the_restrictions_of_a_restricted_namespace() -> None:
    told = body(FULL)
    assert told["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 1000,
        "runAsGroup": 2000,
        "fsGroup": 2000,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert told["containers"][0]["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }
    assert (told["restartPolicy"], told["automountServiceAccountToken"], told["enableServiceLinks"]) == (
        "Never",
        False,
        False,
    )


def test_what_it_gets_is_what_it_may_use() -> None:
    resources = container(FULL)["resources"]
    amounts = {"cpu": "250m", "memory": "1Gi", "ephemeral-storage": "2Gi", "nvidia.com/gpu": "2"}
    assert resources == {"requests": amounts, "limits": amounts}
    assert set(container(spec())["resources"]["limits"]) == {"cpu", "memory"}


def test_where_it_may_run_is_said() -> None:
    told = body(FULL)
    selected = {"kubernetes.io/arch": "arm64", "topology.kubernetes.io/region": "eu", "disk": "ssd"}
    assert told["nodeSelector"] == selected
    assert told["tolerations"] == [{"key": "jobs", "operator": "Exists"}]
    assert (told["priorityClassName"], told["runtimeClassName"]) == ("low", "gvisor")
    assert told["imagePullSecrets"] == [{"name": "registry"}]
    assert not {"nodeSelector", "tolerations", "priorityClassName"} & set(body(spec(), Options()))


def test_times_are_whole_seconds_and_never_too_short() -> None:
    assert (body(FULL)["terminationGracePeriodSeconds"], body(FULL)["activeDeadlineSeconds"]) == (8, 91)
    assert body(spec(grace_seconds=0))["terminationGracePeriodSeconds"] == 1
    assert "activeDeadlineSeconds" not in body(spec())


def test_it_is_started_by_taking_its_gate_away() -> None:
    assert body(spec())["schedulingGates"] == [{"name": "towline.io/consent"}]


def test_the_namespace_is_the_projects() -> None:
    options = Options(namespace="jobs", namespaces={"ml": "ml-jobs"})
    places = [pod_manifest(spec(project=name), options)["metadata"]["namespace"] for name in ("ml", "other")]
    assert places == ["ml-jobs", "jobs"]


def test_a_network_is_a_label_for_policies_to_select() -> None:
    assert pod_manifest(FULL, OPTIONS)["metadata"]["labels"] == {**LABELS, "towline.network": "none"}
    assert pod_manifest(spec(), OPTIONS)["metadata"]["labels"] == LABELS


@pytest.mark.parametrize(
    ("user", "run_as", "expected"),
    [
        (None, 65532, {"runAsNonRoot": True, "runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532}),
        (None, "image", {"runAsNonRoot": True, "fsGroup": 65532}),
        ("root", 65532, {"runAsNonRoot": False, "runAsUser": 0, "runAsGroup": 0, "fsGroup": 0}),
        ("0:0", 65532, {"runAsNonRoot": False, "runAsUser": 0, "runAsGroup": 0, "fsGroup": 0}),
        ("7", 65532, {"runAsNonRoot": True, "runAsUser": 7, "runAsGroup": 7, "fsGroup": 7}),
    ],
)
def test_whose_it_runs_as(user: str | None, run_as: int | str, expected: dict[str, Any]) -> None:
    context = body(spec(user=user), Options(run_as=run_as))["securityContext"]
    assert {key: value for key, value in context.items() if key != "seccompProfile"} == expected


@pytest.mark.parametrize("user", ["www-data", "1000:staff", "4294967295", "-1", "1000:1000:1"])
def test_a_user_that_is_no_number_is_refused_with_a_remedy(user: str) -> None:
    with pytest.raises(Refused) as refused:
        pod_manifest(spec(user=user), OPTIONS)
    assert refused.value.verdict.code == "bad_user"
    assert user in refused.value.verdict.evidence[0]
    assert "1000" in refused.value.verdict.remedy


def test_entrypoint_and_command_are_what_they_are_to_docker() -> None:
    assert ("command" in container(spec()), "args" in container(spec())) == (False, False)
    only = container(spec(command=("a", "b")))
    assert (only.get("command"), only["args"]) == (None, ["a", "b"])
    both = container(spec(command=("a",), entrypoint=("tool",)))
    assert (both["command"], both["args"]) == (["tool"], ["a"])


@pytest.mark.parametrize("text", ["$HOME", "$(date)", "$$", "a$$(PATH)", "$", "$$$(PATH)$", "plain"])
def test_dollars_arrive_as_they_are(text: str) -> None:
    told = container(spec(command=(text,), entrypoint=(text,), env={"X": text}))
    for sent in (told["command"][0], told["args"][0], told["env"][-1]["value"]):
        assert expanded(sent, {"PATH": "/bin", "date": "now"}) == text


def test_a_script_is_a_file_of_its_own_run_by_its_interpreter() -> None:
    assert container(spec(script="#!/bin/cat\n", command=("x",)))["command"] == ["/run/towline/script"]
    plain = container(spec(script="echo", entrypoint=("x",)))
    assert (plain["command"], plain.get("args")) == (["/bin/sh", "/run/towline/script"], None)


def test_stdin_is_a_file_fed_to_the_whole_command_line() -> None:
    told = container(spec(command=("a", "$b"), entrypoint=("tool",), stdin="x"))
    assert told["command"] == ["/bin/sh", "-c", 'exec "$$@" < /run/towline/stdin', "sh"]
    assert told["args"] == ["tool", "a", "$$b"]
    with pytest.raises(Refused, match="can't carry out"):
        pod_manifest(spec(stdin="x"), OPTIONS)


def test_secrets_are_in_no_pod() -> None:
    assert "hush" not in str(pod_manifest(FULL, OPTIONS, "n1"))
    told = {each["name"]: each for each in container(FULL)["env"]}
    assert told["TOKEN"] == {
        "name": "TOKEN",
        "valueFrom": {"secretKeyRef": {"name": "here-j1-a1", "key": "env.TOKEN"}},
    }
    assert told["TOWLINE_URI"]["value"] == "http://towline.example"


def test_the_secret_belongs_to_its_pod_and_is_named_in_it() -> None:
    pod = pod_manifest(replace(FULL, script="echo", stdin="in"), OPTIONS, "n1")
    name = secret_of(pod)
    assert name == "here-j1-a1-n1"
    secret = secret_manifest(replace(FULL, script="echo", stdin="in"), name, "jobs", "u1")
    assert secret
    owner = {"apiVersion": "v1", "kind": "Pod", "name": "here-j1-a1", "uid": "u1"}
    assert secret["metadata"]["ownerReferences"] == [owner]
    values = {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}
    assert values == {"env.TOKEN": "hush", "script": "echo", "stdin": "in"}
    items = pod["spec"]["volumes"][-1]["secret"]["items"]
    assert {each["path"]: each["mode"] for each in items} == {"secrets/TOKEN": 0o440, "script": 0o555, "stdin": 0o440}


def test_without_anything_to_put_in_there_is_no_secret() -> None:
    assert secret_manifest(spec(env={"A": "b"}), "x", "jobs", "u1") is None
    assert secret_of(pod_manifest(spec(env={"A": "b"}), OPTIONS)) is None


@pytest.mark.parametrize("field", ["script", "stdin"])
def test_what_is_too_large_for_a_secret_is_named(field: str) -> None:
    asked = spec(command=("cat",), **{field: "x" * (1024**2 + 1)})
    with pytest.raises(Refused) as refused:
        secret_manifest(asked, "x", "jobs", "u1")
    assert refused.value.verdict.code == "invalid_spec"
    assert field in refused.value.verdict.evidence[0]


def test_a_preview_shows_no_value_of_a_secret() -> None:
    pod, secret = preview(FULL, OPTIONS)
    assert "hush" not in str([pod, secret])
    assert base64.b64encode(b"hush").decode() not in str(secret)
    assert secret["stringData"] == {"env.TOKEN": "***"}


def test_scratch_is_bounded_by_the_disk_asked_for() -> None:
    def sizes(asked: ContainerSpec) -> dict[str, Any]:
        return {each["name"]: each["emptyDir"] for each in body(asked)["volumes"] if "emptyDir" in each}

    assert sizes(spec(disk_bytes=1000))["tmp"] == {"sizeLimit": "1000"}
    assert sizes(spec())["tmp"] == {"sizeLimit": "1Gi"}
    assert sizes(FULL)["shm"] == {"medium": "Memory", "sizeLimit": "32Mi"}


def test_folders_of_nodes_are_refused() -> None:
    with pytest.raises(Refused) as refused:
        pod_manifest(spec(mounts=(Mount("/data", "/data", read_only=True),)), OPTIONS)
    assert refused.value.verdict.code == "policy_denied"
    assert "/data" in refused.value.verdict.evidence[0]


def test_what_is_no_label_is_refused_by_the_name_of_its_field() -> None:
    with pytest.raises(Refused) as refused:
        pod_manifest(spec(network="my net!"), OPTIONS)
    assert "network" in refused.value.verdict.evidence[0]
