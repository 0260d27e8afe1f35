"""What the chart promises of the installation: who has which rights, who reaches whom, and that no job is lost on the way."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from django.urls import resolve

from towline.management.commands.serve import Command
from towline.settings.environment import Environment
from workers.drivers.kubernetes import access

from .rendering import CHART, NAMESPACE, SETS, Pod, chosen, documents, one, pod, pods

# Not Towline's own settings: what other programs read, and the pod's name that the worker's is made of.
OF_OTHERS = {"FLOWER_BASIC_AUTH", "KUBECONFIG", "POD_NAME", "POD_IP", "AWS_ENDPOINT_URL", "AWS_DEFAULT_REGION"}
OF_OTHERS |= {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "UVICORN_EXAMPLE"}
SECRET = re.compile(r"SECRET|_URL$|PASSWORD|AUTH|ACCESS_KEY")
OPEN = {"TOWLINE_FLOWER_URL", "TOWLINE_KUBERNETES_SERVICE_URL", "TOWLINE_KUBERNETES_PULL_SECRETS", "AWS_ENDPOINT_URL"}
ALL = pytest.mark.parametrize("name", SETS)


@ALL
def test_every_pod_passes_the_restricted_standard_with_a_read_only_root(name: str) -> None:
    assert {each.role for each in pods(name)} >= {"web", "control", "run", "beat", "test"}
    for each in pods(name):
        whole, single = each.spec["securityContext"], each.container["securityContext"]
        assert (whole["runAsNonRoot"], whole["runAsUser"]) == (True, 10001)
        assert whole["seccompProfile"] == {"type": "RuntimeDefault"}
        assert single["capabilities"] == {"drop": ["ALL"]}
        assert single["allowPrivilegeEscalation"] is False
        assert single["readOnlyRootFilesystem"] is True
        assert not {"hostNetwork", "hostPID", "hostIPC"} & each.spec.keys()
        assert {kind for volume in each.spec.get("volumes", ()) for kind in volume} <= {
            "name", "emptyDir", "persistentVolumeClaim", "secret",
        }  # fmt: skip


@ALL
def test_only_run_workers_have_a_token_and_no_pod_takes_services_for_settings(name: str) -> None:
    for each in pods(name):
        assert each.spec["automountServiceAccountToken"] is (each.role == "run")
        assert each.spec["enableServiceLinks"] is False
    for account in documents(name, "ServiceAccount"):
        assert account["automountServiceAccountToken"] is False


@ALL
def test_no_secret_stands_in_any_document(name: str) -> None:
    assert documents(name, "Secret") == []
    for each in pods(name):
        told = [variable["name"] for variable in each.environment if "value" in variable]
        assert [word for word in told if SECRET.search(word) and word not in OPEN] == []


@ALL
def test_every_variable_is_a_setting_and_said_once(name: str) -> None:
    for each in pods(name):
        names = [variable["name"] for variable in each.environment]
        assert set(names) - Environment.model_fields.keys() - OF_OTHERS == set()
        assert len(names) == len(set(names)), each.role


@ALL
@pytest.mark.parametrize("role", ["web", "control", "run", "beat"])
def test_production_starts_with_what_the_chart_says(name: str, role: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in list(Environment.model_fields):
        monkeypatch.delenv(variable, raising=False)
    for variable in pod(name, role).environment:
        monkeypatch.setenv(variable["name"], variable.get("value", "x" * 40))
    read = Environment()
    assert read.TOWLINE_MODE == "production"
    namespace, runtimes = read.TOWLINE_KUBERNETES_NAMESPACE, read.TOWLINE_RUNTIMES
    assert namespace == ("batch" if name == "full" else "towline-jobs")
    assert runtimes == (["kubernetes"] if role == "run" else None)
    if name == "full":
        assert read.TOWLINE_KUBERNETES_NAMESPACES == {"physics": "batch-physics", "art": "batch-art"}
        assert read.TOWLINE_KUBERNETES_TOLERATIONS[0]["key"] == "batch"
        assert read.TOWLINE_HTTPS is True


def test_every_role_is_one_that_serve_knows() -> None:
    served = {each.role: each.container["args"] for each in pods("full") if each.container["args"][0] == "serve"}
    assert served.keys() == {"web", "control", "run", "beat", "flower"}
    for role, args in served.items():
        assert Command().create_parser("manage.py", "serve").parse_args(args[1:]).role == role


def test_probes_ask_web_by_a_name_that_it_answers_to() -> None:
    for name in SETS:
        web = pod(name, "web")
        allowed = next(v["value"] for v in web.environment if v["name"] == "TOWLINE_ALLOWED_HOSTS").split(",")
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            asked = web.container[probe]["httpGet"]
            headers = {header["name"]: header["value"] for header in asked["httpHeaders"]}
            assert headers["Host"] in allowed
            assert headers["X-Forwarded-Proto"] == "https"
            assert resolve(asked["path"])


def test_roles_without_a_door_are_asked_as_the_image_asks_them() -> None:
    (said,) = re.findall(
        r"(?m)^HEALTHCHECK.*\\\n  CMD (\[.*\])$", (CHART.parents[1] / "docker" / "Dockerfile").read_text()
    )
    for role in ("control", "run", "beat"):
        assert pod("minimal", role).container["livenessProbe"]["exec"]["command"] == json.loads(said)


@ALL
def test_selectors_choose_the_pods_that_they_are_for(name: str) -> None:
    for document in documents(name, "Deployment", "StatefulSet", "PodDisruptionBudget"):
        role = document["metadata"]["labels"]["app.kubernetes.io/component"]
        assert chosen(document["spec"]["selector"]["matchLabels"], name) == [role]
    for service in documents(name, "Service"):
        (role,) = chosen(service["spec"]["selector"], name)
        doors = {port["name"] for port in pod(name, role).container.get("ports", ())}
        assert {port["targetPort"] for port in service["spec"].get("ports", ())} <= doors


@ALL
def test_run_workers_have_names_that_are_their_own_and_stay(name: str) -> None:
    workers = one(name, "StatefulSet")
    assert workers["spec"]["podManagementPolicy"] == "Parallel"
    variables = {each["name"]: each for each in pod(name, "run").environment}
    assert "$(POD_NAME)" in variables["TOWLINE_WORKER_NAME"]["value"]
    assert variables["POD_NAME"]["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.name"}}


@ALL
def test_an_upgrade_leaves_time_to_hand_over_and_never_two_beats(name: str) -> None:
    assert pod(name, "run").spec["terminationGracePeriodSeconds"] >= 30
    assert one(name, "StatefulSet")["spec"]["minReadySeconds"] >= 15
    beat = one(name, "Deployment", "-beat")["spec"]
    assert (beat["replicas"], beat["strategy"]) == (1, {"type": "Recreate"})
    assert one(name, "Deployment", "-web")["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


def test_migrations_run_before_anything_new_does() -> None:
    (job,) = documents("minimal", "Job")
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    assert "serviceAccountName" not in job["spec"]["template"]["spec"]  # the chart's own are not there yet
    assert documents("no-rbac", "Job") == []


def test_an_autoscaler_alone_says_how_many() -> None:
    for name in SETS:
        scaled = bool(documents(name, "HorizontalPodAutoscaler", "ScaledObject"))
        assert ("replicas" in one(name, "StatefulSet")["spec"]) is not scaled


@ALL
def test_variables_that_others_are_made_of_come_before_them(name: str) -> None:
    for each in pods(name):
        seen: set[str] = set()
        for variable in each.environment:
            assert set(re.findall(r"\$\(([A-Z_]+)\)", variable.get("value", ""))) <= seen
            seen.add(variable["name"])


def test_prometheus_asks_web_by_an_address_that_it_answers_to() -> None:
    monitor = one("full", "ServiceMonitor")["spec"]
    (service,) = [each for each in documents("full", "Service") if each["metadata"]["name"] == "towline-web"]
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert monitor["endpoints"][0]["port"] in {port["name"] for port in service["spec"]["ports"]}
    assert resolve(monitor["endpoints"][0]["path"])
    variables = {each["name"]: each for each in pod("full", "web").environment}
    assert "$(POD_IP)" in variables["TOWLINE_ALLOWED_HOSTS"]["value"].split(",")
    assert variables["POD_IP"]["valueFrom"] == {"fieldRef": {"fieldPath": "status.podIP"}}


def test_the_autoscaler_reads_figures_that_web_tells() -> None:
    told = (CHART.parents[1] / "platform" / "towline" / "metrics" / "gauges.py").read_text()
    metrics = [each["external"]["metric"] for each in one("full", "HorizontalPodAutoscaler")["spec"]["metrics"]]
    assert [metric["name"] for metric in metrics] == ["towline_jobs_waiting", "towline_worker_slots"]
    for metric in metrics:
        (label,) = metric["selector"]["matchLabels"]
        assert re.search(rf'"{metric["name"]}", "[^"]+", labels=\["{label}"\]', told)


def test_what_jobs_have_stays_when_the_release_goes() -> None:
    for document in [*documents("full", "Namespace"), *documents("full", "PersistentVolumeClaim")]:
        assert document["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


def test_every_namespace_of_jobs_is_made_alike() -> None:
    spaces = {"batch", "batch-physics", "batch-art"}
    assert {each["metadata"]["name"] for each in documents("full", "Namespace")} == spaces
    for kind in ("Role", "RoleBinding", "ResourceQuota", "LimitRange"):
        assert {each["metadata"]["namespace"] for each in documents("full", kind)} == spaces
    for each in documents("full", "Namespace"):
        assert each["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_the_rules_are_those_of_the_driver() -> None:
    def told(**kind: bool) -> set[tuple[str, str, str]]:
        of_kind = [
            rule for rule in access.RULES if all(bool(getattr(rule, name)) is is_so for name, is_so in kind.items())
        ]
        return {(rule.group, rule.resource, verb) for rule in of_kind for verb in rule.verbs}

    assert rules("minimal") == told(of_cluster=False)
    assert rules("minimal", "ClusterRole") == told(of_cluster=True)
    assert rules("s3") == told(optional=False)
    assert {rule.resource for rule in access.RULES if rule.itself} == {"namespaces"}


def rules(name: str, kind: str = "Role") -> set[tuple[str, str, str]]:
    return {
        (group, resource, verb)
        for document in documents(name, kind)
        for rule in document["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


LEAST = {("", "pods", verb) for verb in ("create", "get", "list", "watch", "delete", "patch")}
LEAST |= {("", "pods/log", "get"), ("", "secrets", "create"), ("", "events", "list")}
LEAST |= {("", "namespaces", "get")}


def test_run_workers_may_do_what_they_do_and_nothing_else() -> None:
    assert rules("s3") == LEAST
    assert rules("minimal") - LEAST == {("metrics.k8s.io", "pods", "list")}
    assert rules("minimal", "ClusterRole") == {("", "nodes", "get"), ("", "nodes", "list")}
    assert documents("s3", "ClusterRole", "ClusterRoleBinding") == []
    assert documents("no-rbac", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding") == []


def test_rights_are_given_to_run_workers_alone_and_a_namespace_is_read_by_its_name() -> None:
    for binding in documents("full", "RoleBinding", "ClusterRoleBinding"):
        assert [(who["name"], who["namespace"]) for who in binding["subjects"]] == [("towline-run", NAMESPACE)]
    assert pod("full", "run").spec["serviceAccountName"] == "towline-run"
    for role in documents("full", "Role"):
        (rule,) = [rule for rule in role["rules"] if rule["resources"] == ["namespaces"]]
        assert rule["resourceNames"] == [role["metadata"]["namespace"]]


def policy(name: str, ending: str) -> dict[str, Any]:
    (found,) = [each for each in documents(name, "NetworkPolicy") if each["metadata"]["name"] == f"towline{ending}"]
    return dict(found["spec"])


def test_the_platform_is_reached_at_web_alone() -> None:
    everybody = policy("minimal", "")
    assert "ingress" not in everybody
    assert set(chosen(everybody["podSelector"]["matchLabels"], "minimal")) == {each.role for each in pods("minimal")}
    assert chosen(policy("minimal", "-web")["podSelector"]["matchLabels"], "minimal") == ["web"]
    assert policy("minimal", "-web")["ingress"] == [{"ports": [{"port": "http", "protocol": "TCP"}]}]


def test_a_job_without_a_network_reaches_nobody() -> None:
    closed, opened = policy("minimal", "-jobs"), policy("minimal", "-jobs-egress")
    assert closed == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    # They add up: so the one that opens must not choose it.
    assert opened["podSelector"]["matchExpressions"] == [
        {"key": "towline.network", "operator": "NotIn", "values": ["none"]}
    ]
    assert opened["policyTypes"] == ["Egress"]


def test_jobs_reach_names_web_and_the_outside_and_no_private_network() -> None:
    dns, web, outside = policy("minimal", "-jobs-egress")["egress"]
    assert {port["port"] for port in dns["ports"]} == {53}
    (peer,) = web["to"]
    assert chosen(peer["podSelector"]["matchLabels"], "minimal") == ["web"]
    assert peer["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": NAMESPACE}
    assert web["ports"][0]["port"] == pod("minimal", "web").container["ports"][0]["containerPort"]
    denied = {block for each in outside["to"] for block in each["ipBlock"]["except"]}
    assert {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"} <= denied
    assert len(policy("full", "")["egress"]) == 3  # names, web for helm test, and what its values say


def mounts(of: Pod) -> dict[str, str]:
    return {each["mountPath"]: each["name"] for each in of.container["volumeMounts"]}


def test_a_folder_for_logs_is_there_for_all_who_touch_logs() -> None:
    for each in pods("full"):
        if each.role != "test":
            assert ("/logs" in mounts(each)) is (each.role in {"web", "control", "run"})
            assert {"/data", "/tmp"} <= mounts(each).keys()


class Answering(BaseHTTPRequestHandler):
    """Stands for web, asked through a proxy as its name is the cluster's."""

    status, asked = 200, ""

    def do_GET(self) -> None:
        type(self).asked = f"{self.path} {self.headers['Host']} {self.headers['X-Forwarded-Proto']}"
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(b'{"parts": {"redis": "it does not answer"}}')

    def log_message(self, *words: Any) -> None:
        """Nothing: the test says what it saw."""


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1)])
def test_helm_test_passes_when_web_is_of_use_and_says_what_fails_else(status: int, code: int) -> None:
    container = pod("minimal", "test").container
    kind = type("Answers", (Answering,), {"status": status})
    with HTTPServer(("127.0.0.1", 0), kind) as web:
        threading.Thread(target=web.handle_request, daemon=True).start()
        proxied = {"http_proxy": f"http://127.0.0.1:{web.server_port}", "PATH": ""}
        command = [sys.executable, *container["command"][1:], *container["args"]]
        ran = subprocess.run(command, env=proxied, capture_output=True, text=True, timeout=60)
    assert kind.asked == "http://towline-web.platform.svc:80/healthz/ready localhost https"
    assert ran.returncode == code
    assert "it does not answer" in (ran.stderr if code else ran.stdout)
