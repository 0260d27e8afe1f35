"""Started once, whoever asks, however often, and whatever comes in between."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.drivers.kubernetes.api import Answer, Api, Asked, no
from tests.unit.drivers.kubernetes.conftest import Serve
from tests.unit.drivers.kubernetes.namespace import Namespace
from tests.unit.drivers.kubernetes.pods import LABELS, spec
from workers.drivers.kubernetes.driver import KubernetesDriver
from workers.drivers.kubernetes.options import Options
from workers.drivers.protocol import LABEL_INSTALLATION, Handle, HeldUp, Phase, Refused, Unavailable

NAME = "here-j1-a1"
WANTED = spec(env={"TOKEN": "hush"}, secret_env=frozenset({"TOKEN"}), command=("true",))


@pytest.fixture
def driver(api: Api) -> KubernetesDriver:
    return KubernetesDriver(options=Options(namespace="jobs"))


def writes(api: Api) -> list[str]:
    return [f"{asked.method} {asked.path.rpartition('/jobs/')[2]}" for asked in api.asked if asked.method != "GET"]


def test_pod_then_secret_then_consent_then_start(api: Api, namespace: Namespace, driver: KubernetesDriver) -> None:
    asked: list[tuple[Handle | None, list[str]]] = []
    handle = driver.start(WANTED, lambda of: asked.append((of, writes(api))))
    made = ["POST pods", "POST secrets"]
    assert asked == [(None, []), (handle, made)]
    assert writes(api) == [*made, f"PATCH pods/{NAME}"]
    assert handle == Handle("kubernetes", NAME, namespace.pods[NAME]["metadata"]["uid"], "kubernetes-n1/jobs")
    assert "schedulingGates" not in namespace.pods[NAME]["spec"]
    [secret] = namespace.secrets
    assert secret["metadata"]["ownerReferences"][0]["uid"] == handle.uid
    volume = namespace.pods[NAME]["spec"]["volumes"][-1]
    assert volume["secret"]["secretName"] == secret["metadata"]["name"]


def test_twice_is_once(api: Api, driver: KubernetesDriver) -> None:
    first = driver.start(WANTED)
    before = writes(api)
    assert driver.start(WANTED) == first
    assert writes(api) == before


def test_one_left_behind_its_gate_is_started(namespace: Namespace, driver: KubernetesDriver) -> None:
    answers = iter([None])
    with pytest.raises(StopIteration):
        driver.start(WANTED, lambda _: next(answers))
    found = driver.find(NAME)
    assert found
    assert found.phase is Phase.CREATED
    assert driver.start(WANTED) == found.handle
    assert "schedulingGates" not in namespace.pods[NAME]["spec"]
    assert namespace.secrets[0]["metadata"]["name"] == namespace.secrets[1]["metadata"]["name"]


def test_who_was_held_up_starts_no_namesake_made_later(namespace: Namespace, driver: KubernetesDriver) -> None:
    def meanwhile(handle: Handle | None) -> None:
        if handle is not None:
            old = namespace.pods.pop(NAME)
            another = {**old["metadata"], "uid": "another"}
            namespace.pods[NAME] = {**old, "metadata": another}

    handle = driver.start(WANTED, meanwhile)
    assert handle.uid != "another"
    assert namespace.pods[NAME]["spec"]["schedulingGates"]
    assert driver.inspect(handle).phase is Phase.GONE


def test_an_answer_that_got_lost_is_not_asked_for_again(
    api: Api, namespace: Namespace, driver: KubernetesDriver
) -> None:
    def lose(asked: Asked) -> Answer | None:
        if asked.method == "POST" and asked.path.endswith("/pods"):
            namespace._create(asked.body)
            return Answer(cut=True)
        return None

    namespace.before = lose
    handle = driver.start(WANTED)
    assert handle.uid == namespace.pods[NAME]["metadata"]["uid"]
    assert writes(api).count("POST pods") == 1


def test_an_answer_lost_without_a_pod_is_unavailable(namespace: Namespace, driver: KubernetesDriver) -> None:
    namespace.before = lambda asked: Answer(cut=True) if asked.method == "POST" else None
    with pytest.raises(Unavailable):
        driver.start(WANTED)


def test_a_stranger_is_left_alone(api: Api, namespace: Namespace, driver: KubernetesDriver) -> None:
    driver.start(replace(WANTED, labels={**LABELS, LABEL_INSTALLATION: "there"}))
    before = writes(api)
    with pytest.raises(Refused, match="is taken"):
        driver.start(WANTED)
    assert writes(api) == before


def test_what_can_not_be_asked_for_is_refused_before_anything_is_made(api: Api, driver: KubernetesDriver) -> None:
    for bad in (spec(user="www-data"), spec(script="x" * 2 * 1024**2)):
        with pytest.raises(Refused):
            driver.start(bad, lambda _: pytest.fail("nobody is to be asked"))
    assert writes(api) == []


@pytest.mark.parametrize(
    ("message", "raised"),
    [
        ('pods "x" is forbidden: violates PodSecurity "restricted:latest": privileged', Refused),
        ('pods "x" is forbidden: exceeded quota: q, requested: cpu=2, used: cpu=3, limited: cpu=4', HeldUp),
        ('pods is forbidden: User "u" cannot create resource "pods" in API group ""', Unavailable),
    ],
)
def test_a_denial_is_what_its_words_say(
    namespace: Namespace, driver: KubernetesDriver, message: str, raised: type[Exception]
) -> None:
    namespace.before = lambda asked: no(403, "Forbidden", message) if asked.method == "POST" else None
    with pytest.raises(raised) as caught:
        driver.start(WANTED)
    assert type(caught.value) is raised
    assert namespace.pods == {}


def test_it_is_found_where_its_project_was_before(serve: Serve, namespace: Namespace) -> None:
    api = serve(namespace)
    first = KubernetesDriver(options=Options(namespace="jobs")).start(WANTED)
    moved = Options(namespace="jobs", namespaces={"default": "elsewhere"})
    namespace.before = lambda asked: no(404, "NotFound", "no") if "elsewhere" in asked.path else None
    assert KubernetesDriver(options=moved).start(WANTED) == first
    assert writes(api).count("POST pods") == 1
