"""What a run worker must be allowed in a cluster: what is asked, granted and told of it is one."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from towline.doctor.finding import Finding, Level
from towline.doctor.kubernetes import examine_cluster, judge_namespace, judge_version
from workers.drivers.kubernetes.access import RULES, attributes, missing
from workers.drivers.kubernetes.connection import ApiError, Cluster
from workers.drivers.kubernetes.options import Options
from workers.drivers.protocol import Unavailable

MANIFEST = Path(__file__).resolve().parents[2] / "charts" / "rbac.yaml"
VERSION = {"major": "1", "minor": "36", "gitVersion": "v1.36.0"}
NAMESPACE = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}


class AnsweringCluster:
    """Answers from the rules that `allows` is true of, like an API server with RBAC; `others` by path."""

    def __init__(self, allows: Callable[[Mapping[str, str]], bool] = lambda asked: True, **others: Any) -> None:
        self.allows = allows
        self.answers = {"/version": VERSION, "/api/v1/namespaces/towline-jobs": NAMESPACE, **others}
        self.asked: list[Mapping[str, str]] = []

    def request(self, method: str, path: str, *, body: Any = None) -> Any:
        if path.endswith("selfsubjectaccessreviews"):
            self.asked.append(body["spec"]["resourceAttributes"])
            return {"status": {"allowed": self.allows(self.asked[-1])}}
        if path.endswith("selfsubjectreviews"):
            return {"status": {"userInfo": {"username": "system:serviceaccount:towline:towline-run"}}}
        answer = self.answers.get(path, ApiError(404, "NotFound", f"{path} not found"))
        if isinstance(answer, Exception):
            raise answer
        return answer


def granted() -> Callable[[Mapping[str, str]], bool]:
    """By the plain manifest, as RBAC reads it."""
    objects = [found for found in yaml.safe_load_all(MANIFEST.read_text(encoding="utf-8")) if found]
    rules = [
        (found["metadata"].get("namespace", ""), rule)
        for found in objects
        if found["kind"] in ("Role", "ClusterRole")
        for rule in found["rules"]
    ]

    def allows(asked: Mapping[str, str]) -> bool:
        resource = "/".join(filter(None, (asked["resource"], asked.get("subresource"))))
        return any(
            namespace == asked.get("namespace", "")
            and asked["group"] in rule["apiGroups"]
            and resource in rule["resources"]
            and asked["verb"] in rule["verbs"]
            and asked.get("name") in rule.get("resourceNames", [asked.get("name")])
            for namespace, rule in rules
        )

    return allows


def examined(cluster: AnsweringCluster, options: Options | None = None) -> list[Finding]:
    return examine_cluster(cluster, "", options or Options())


def test_the_manifest_grants_what_is_needed() -> None:
    assert missing(AnsweringCluster(granted()), ["towline-jobs"]) == []


def test_the_manifest_grants_nothing_else() -> None:
    objects = [found for found in yaml.safe_load_all(MANIFEST.read_text(encoding="utf-8")) if found]
    verbs = sum(len(rule["verbs"]) for found in objects for rule in found.get("rules", ()))
    assert verbs == sum(len(rule.verbs) for rule in RULES)
    assert not any("*" in str(found.get("rules")) for found in objects)


def test_the_manifest_binds_what_it_grants_to_the_account_it_makes() -> None:
    objects = {found["kind"]: found for found in yaml.safe_load_all(MANIFEST.read_text(encoding="utf-8")) if found}
    account = objects["ServiceAccount"]["metadata"]
    for kind in ("Role", "ClusterRole"):
        bound = objects[f"{kind}Binding"]
        assert bound["roleRef"] == {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": kind,
            "name": objects[kind]["metadata"]["name"],
        }
        assert bound["subjects"] == [{"kind": "ServiceAccount", **account}]


def test_every_verb_is_asked_for_in_every_namespace() -> None:
    cluster = AnsweringCluster()
    missing(cluster, ["one", "two"])
    assert len(cluster.asked) == sum(len(rule.verbs) * (1 if rule.of_cluster else 2) for rule in RULES)
    assert {"group": "", "resource": "pods", "subresource": "log", "verb": "get", "namespace": "two"} in cluster.asked


def test_a_right_to_one_namespace_is_asked_for_by_its_name() -> None:
    (rule,) = (rule for rule in RULES if rule.itself)
    assert attributes(rule, "get", "jobs")["name"] == "jobs"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_each_verb_that_is_missing_is_a_line_with_its_remedy(rule: Any) -> None:
    for verb in rule.verbs:
        wanted = attributes(rule, verb, "" if rule.of_cluster else "towline-jobs")
        wrong = [f for f in examined(AnsweringCluster(lambda asked, no=wanted: asked != no)) if f.level is not Level.OK]
        assert [finding.level for finding in wrong] == [Level.WARNING if rule.optional else Level.FAILED]
        assert f"may not {verb} {rule.name}" in wrong[0].detail
        assert f"verbs [{verb}]" in wrong[0].remedy


def test_a_cluster_that_is_well_is_told_so() -> None:
    found = examined(AnsweringCluster())
    assert {finding.level for finding in found} == {Level.OK}
    assert "v1.36.0, asked as system:serviceaccount:towline:towline-run" in found[0].detail


def test_what_is_not_there_or_not_to_be_seen_is_told_with_its_remedy() -> None:
    absent = AnsweringCluster()
    del absent.answers["/api/v1/namespaces/towline-jobs"]
    hidden = AnsweringCluster(**{"/api/v1/namespaces/towline-jobs": Unavailable("we may not")})
    for cluster, words in ((absent, "no namespace towline-jobs"), (hidden, "can't be read")):
        (wrong,) = (finding for finding in examined(cluster) if finding.level is Level.FAILED)
        assert words in wrong.detail
        assert "kubectl" in wrong.remedy


def test_a_cluster_that_does_not_answer_is_one_finding_that_names_its_context() -> None:
    away = AnsweringCluster(**{"/version": Unavailable("connection refused")})
    (found,) = examine_cluster(away, "west", Options())
    assert (found.level, found.detail) == (Level.FAILED, "west: connection refused")
    assert "KUBECONFIG" in found.remedy


@pytest.mark.parametrize(
    ("major", "minor", "level"),
    [("1", "26+", Level.FAILED), ("1", "27+", Level.OK), ("2", "0", Level.OK), ("", "", Level.FAILED)],
)
def test_a_cluster_without_scheduling_gates_is_too_old(major: str, minor: str, level: Level) -> None:
    assert judge_version({"major": major, "minor": minor, "gitVersion": "v"}, "me").level is level


@pytest.mark.parametrize(
    ("security", "run_as", "level"),
    [
        ("restricted", 65532, Level.OK),
        ("restricted", "image", Level.WARNING),
        ("baseline", "image", Level.OK),
        ("privileged", 65532, Level.WARNING),
    ],
)
def test_who_may_run_in_a_namespace_is_told(security: str, run_as: int | str, level: Level) -> None:
    assert judge_namespace("jobs", security, run_as).level is level


class OverHttp(BaseHTTPRequestHandler):
    """What `AnsweringCluster` answers, as an API server says it."""

    behind: AnsweringCluster

    def do_GET(self) -> None:
        self.answer(None)

    def do_POST(self) -> None:
        self.answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def answer(self, body: Any) -> None:
        try:
            status, answer = 200, self.behind.request(self.command, self.path, body=body)
        except ApiError as error:
            status, answer = error.status, {"kind": "Status", "reason": error.reason, "message": error.message}
        said = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AnsweringCluster]:
    """A cluster behind KUBECONFIG, in its context `west`."""
    behind = AnsweringCluster()
    with ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (OverHttp,), {"behind": behind})) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        told = {
            "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}],
            "contexts": [{"name": "west", "context": {"cluster": "c", "user": "u"}}],
            "users": [{"name": "u", "user": {"token": "t"}}],
        }
        (tmp_path / "config").write_text(json.dumps(told), encoding="utf-8")
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
        yield behind
        server.shutdown()
        thread.join(10)


def test_a_real_connection_is_asked_with(kubeconfig: AnsweringCluster) -> None:
    assert {finding.level for finding in examine_cluster(Cluster("west"), "west", Options())} == {Level.OK}
    kubeconfig.answers["/api/v1/namespaces/towline-jobs"] = ApiError(403, "Forbidden", "you may not")
    kubeconfig.allows = lambda asked: asked["resource"] != "namespaces"
    wrong = [f.detail for f in examine_cluster(Cluster("west"), "west", Options()) if f.level is not Level.OK]
    assert len(wrong) == 2
    assert "you may not" in wrong[0]
    assert "west: may not get namespaces in namespace towline-jobs" in wrong[1]


def test_a_context_that_is_not_configured_is_told(kubeconfig: AnsweringCluster) -> None:
    (found,) = examine_cluster(Cluster("east"), "east", Options())
    assert (found.level, "KUBECONFIG" in found.remedy) == (Level.FAILED, True)
