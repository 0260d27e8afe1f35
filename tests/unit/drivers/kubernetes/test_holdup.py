"""Why a pod has not begun, and what is not even taken: from the sentences of scheduler, kubelet and API server."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.verdicts import Verdict
from workers.drivers.kubernetes.holdup import holdup, refusal
from workers.drivers.kubernetes.quantity import in_bytes, quantity
from workers.drivers.protocol import ContainerSpec, Holdup

SPEC = ContainerSpec("i-j-a1", {}, "demo:1")
FORBIDDEN = 'pods "i-j-a1" is forbidden: '
PREEMPTION = " preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling."


def unplaced(message: str, **status: Any) -> Any:
    told = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    resources = {"requests": {"cpu": "64", "nvidia.com/gpu": "2"}}
    return {
        "spec": {
            "nodeSelector": {"kubernetes.io/arch": "arm64"},
            "containers": [{"name": "job", "resources": resources}],
        },
        "status": {"phase": "Pending", "conditions": [told], **status},
    }


def waiting(reason: str, message: str = "") -> Any:
    state = {"waiting": {"reason": reason, "message": message}}
    statuses = [{"name": "job", "image": "reg.example/demo:1", "state": state}]
    return {"spec": {"nodeName": "node1"}, "status": {"phase": "Pending", "containerStatuses": statuses}}


def event(reason: str, message: str, at: int = 0) -> Any:
    return {"reason": reason, "message": message, "lastTimestamp": f"2026-11-22T12:00:{at:02}Z"}


def told(pod: Any, *events: Any) -> Holdup:
    found = holdup(pod, events)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("message", "detail"),
    [
        ("0/3 nodes are available: 3 Insufficient cpu." + PREEMPTION, "cpu: short on 3 of 3 (asked 64)"),
        (
            "0/3 nodes are available: 1 Insufficient memory, 2 Insufficient cpu.",
            "memory: short on 1 of 3; cpu: short on 2",
        ),
        ("0/3 nodes are available: 3 Insufficient nvidia.com/gpu.", "nvidia.com/gpu: short on 3 of 3 (asked 2)"),
        ("0/3 nodes are available: 3 Insufficient ephemeral-storage.", "ephemeral-storage: short on 3 of 3"),
        ("0/3 nodes are available: 3 Too many pods.", "pods: 3 of 3 hold as many as they may"),
        (
            "0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector." + PREEMPTION,
            "selector: 3 of 3 do not match (kubernetes.io/arch=arm64)",
        ),
        (
            "0/3 nodes are available: 3 node(s) had untolerated taint {gpu: true}.",
            "taint: 3 of 3 have gpu=true",
        ),
        (
            "0/3 nodes are available: 3 node(s) had untolerated taint(s) {gpu: true}.",
            "taint: 3 of 3 have gpu=true",
        ),
        (
            "0/3 nodes are available: 1 node(s) had taint {node-role.kubernetes.io/master: }, that the pod didn't tolerate, "
            "2 Insufficient cpu.",
            "taint: 1 of 3 have node-role.kubernetes.io/master, which it does not tolerate; cpu: short on 2 of 3",
        ),
        (
            "0/3 nodes are available: 3 node(s) had untolerated taint(s).",
            "taint: 3 of 3 have one that it does not tolerate",
        ),
        ("0/3 nodes are available: 3 node(s) were unschedulable.", "3 of 3 are cordoned"),
        ("0/3 nodes are available: 3 node(s) had volume node affinity conflict.", "volume: 3 of 3 do not reach it"),
        (
            "0/3 nodes are available: 3 node(s) didn't have free ports for the requested pod ports.",
            "port: in use on 3 of 3",
        ),
        ("0/3 nodes are available: 3 node(s) did a new thing.", "3 of 3: did a new thing"),
        (
            "0/3 nodes are available: 3 node(s) had untolerated taint {node.kubernetes.io/not-ready: }.",
            "taint: 3 of 3 have node.kubernetes.io/not-ready: they are unwell",
        ),
        (
            "0/3 nodes are available: 3 node(s) had untolerated taint {node.kubernetes.io/unschedulable: }.",
            "node: 3 of 3 are cordoned",
        ),
        ("0/3 nodes are available: 3 node(s) didn't match pod affinity rules.", "affinity: 3 of 3 are ruled out"),
        ("0/3 nodes are available: 3 node(s) exceed max volume count.", "volume: 3 of 3 hold as many as they may"),
        (
            "0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims." + PREEMPTION,
            "The scheduler has no place for it: pod has unbound immediate PersistentVolumeClaims.",
        ),
        ("0/0 nodes are available." + PREEMPTION, "the cluster has none that is ready"),
        ("", "it does not say why"),
        ("no nodes available to schedule pods", "the cluster has none that is ready"),
        ('persistentvolumeclaim "data" not found. ' + PREEMPTION, 'persistentvolumeclaim "data" not found'),
    ],
)
def test_what_is_short_is_told_by_dimension(message: str, detail: str) -> None:
    found = told(unplaced(message))
    assert (found.reason, found.verdict.code, found.hopeless) == ("unschedulable", "unschedulable", False)
    assert detail in found.detail
    assert "reemption" not in found.detail
    assert found.verdict.remedy


@pytest.mark.parametrize(
    ("tail", "for_room"),
    [
        (PREEMPTION, False),
        (" preemption: 0/3 nodes are available: 3 No preemption victims found for incoming pod.", True),
        (" preemption: 0/3 nodes are available: 1 No preemption victims found, 2 Preemption is not helpful.", True),
        (" preemption: not eligible due to preemptionPolicy=Never.", True),
        ("", True),
    ],
)
def test_what_no_node_has_even_when_it_is_empty_is_not_queued_for(tail: str, *, for_room: bool) -> None:
    found = told(unplaced("0/3 nodes are available: 1 node(s) had untolerated taint(s), 2 Insufficient cpu." + tail))
    assert (found.for_room, "Even empty" in found.detail) == (for_room, not for_room)


def test_a_node_that_is_to_come_back_may_have_the_room() -> None:
    unwell = "0/3 nodes are available: 1 node(s) were unschedulable, 2 Insufficient nvidia.com/gpu." + PREEMPTION
    assert told(unplaced(unwell)).for_room
    full = told(unplaced("0/3 nodes are available: 3 Insufficient cpu." + PREEMPTION))
    assert (full.for_room, full.verdict.remedy) == (False, "Ask for less, or add larger nodes.")


def test_room_that_is_being_made_is_told() -> None:
    pod = unplaced("0/1 nodes are available: 1 Insufficient cpu.", nominatedNodeName="node7")
    assert "node7" in told(pod).detail


def test_a_gate_and_a_pull_are_no_trouble() -> None:
    gated = unplaced("Scheduling is blocked due to non-empty scheduling gates")
    gated["status"]["conditions"][0]["reason"] = "SchedulingGated"
    assert holdup(gated) is None
    assert holdup(waiting("ContainerCreating"), [event("Pulling", "Pulling image")]) is None
    assert holdup(waiting("PodInitializing")) is None
    assert holdup({}) is None


CONTAINERD = 'failed to pull and unpack image "reg.example/demo:1": failed to resolve reference "reg.example/demo:1": '


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (CONTAINERD + "reg.example/demo:1: not found", "image_not_found"),
        (
            CONTAINERD + "pull access denied, repository does not exist or may require authorization: server message: "
            "insufficient_scope: authorization failed",
            "image_not_found",
        ),
        (
            CONTAINERD + "pull access denied, repository does not exist or may require authorization: authorization "
            "failed: no basic auth credentials",
            "image_unauthorized",
        ),
        (CONTAINERD + "failed to authorize: failed to fetch anonymous token: 401 Unauthorized", "image_unauthorized"),
        (
            CONTAINERD + "unexpected status from HEAD request to https://reg.example/v2: 403 Forbidden",
            "image_unauthorized",
        ),
        (CONTAINERD + "failed to do request: dial tcp: lookup reg.example: no such host", "image_registry_unreachable"),
        (CONTAINERD + "tls: failed to verify certificate: x509: unknown authority", "image_registry_unreachable"),
        (
            CONTAINERD + "unexpected status from HEAD request to https://r/v2: 503 Service Unavailable",
            "image_registry_unreachable",
        ),
        (CONTAINERD + "429 Too Many Requests - toomanyrequests: rate limit", "image_registry_unreachable"),
        ("reading manifest 1 in reg.example/demo: manifest unknown", "image_not_found"),
        ("reading manifest 1 in reg.example/demo: unauthorized: authentication required", "image_unauthorized"),
        ('no match for platform in manifest: not found "sha256:0"', "image_wrong_platform"),
        ("choosing image instance: no image found in manifest list for architecture arm64", "image_wrong_platform"),
        ("failed to extract layer: write /var/lib/x: no space left on device", "disk_full"),
        ("a new thing", "image_pull_failed"),
    ],
)
def test_a_pull_that_fails_is_told_by_its_cause_and_kept_through_the_back_off(message: str, code: str) -> None:
    pulled = event("Failed", f'Failed to pull image "reg.example/demo:1": {message}')
    back_off = 'Back-off pulling image "reg.example/demo:1"'
    for found in (
        told(waiting("ErrImagePull", message)),
        told(waiting("ImagePullBackOff", f"{back_off}: ErrImagePull: {message}")),
        told(waiting("ImagePullBackOff", back_off), pulled, event("BackOff", back_off, at=9)),
    ):
        assert (found.reason, found.verdict.code, found.hopeless) == ("image", code, False)
        assert message[-30:] in found.detail


def test_names_and_addresses_are_no_words() -> None:
    pod = waiting("ErrImagePull", 'failed to resolve "x/denied:404": GET https://r/v2/timeout/500: a new thing')
    assert told(pod).verdict.code == "image_pull_failed"


def test_an_image_that_only_others_may_use_is_not_missing() -> None:
    words = "is present with pull policy of Never but does not have the proper credentials to be used by this pod"
    found = told(waiting("ErrImageNeverPull", words))
    assert (found.verdict.code, "PULL_SECRETS" in found.verdict.remedy) == ("image_unauthorized", True)


def test_only_a_name_that_is_none_is_hopeless() -> None:
    assert told(waiting("InvalidImageName", "invalid reference format")).hopeless
    assert not told(waiting("ErrImageNeverPull", "is not present with pull policy of Never")).hopeless


@pytest.mark.parametrize(
    ("reason", "message", "code", "hopeless"),
    [
        ("CreateContainerConfigError", 'secret "nope" not found', "secret_missing", False),
        ("CreateContainerConfigError", "couldn't find key A in Secret jobs/i-j-a1", "secret_missing", False),
        ("CreateContainerConfigError", 'configmap "nope" not found', "invalid_spec", False),
        ("CreateContainerConfigError", "container has runAsNonRoot and image will run as root", "bad_user", False),
        (
            "CreateContainerConfigError",
            "container has runAsNonRoot and image has non-numeric user (bob), cannot verify user is non-root",
            "bad_user",
            False,
        ),
        ("CreateContainerError", "failed to generate spec: no command specified", "invalid_spec", False),
        ("CreateContainerError", "crun: executable file `x` not found in $PATH", "command_not_found", True),
        ("CreateContainerError", "crun: chdir to `/w`: Permission denied", "bad_working_dir", True),
        ("CreateContainerError", "context deadline exceeded", "internal_error", False),
        ("RunContainerError", "exec: /app: exec format error", "wrong_platform", True),
    ],
)
def test_a_container_that_cannot_be_made_is_told(reason: str, message: str, code: str, hopeless: bool) -> None:
    found = told(waiting(reason, message))
    assert (found.reason, found.verdict.code, found.hopeless) == ("config", code, hopeless)
    assert message in found.verdict.evidence


@pytest.mark.parametrize(
    ("reason", "message", "code"),
    [
        ("FailedMount", 'MountVolume.SetUp failed for volume "attached" : secret "i-j-a1" not found', "secret_missing"),
        ("FailedMount", 'MountVolume.SetUp failed for volume "in" : hostPath type check failed', "invalid_spec"),
        ("FailedAttachVolume", "Multi-Attach error", "internal_error"),
        ("FailedCreatePodSandBox", 'no runtime for "nvidia" is configured', "unschedulable"),
        ("FailedCreatePodSandBox", "plugin type=bridge failed", "internal_error"),
    ],
)
def test_what_a_node_cannot_prepare_is_told_until_it_is_overcome(reason: str, message: str, code: str) -> None:
    pod, failed = waiting("ContainerCreating"), event(reason, message, at=5)
    assert told(pod, event("Scheduled", ""), failed).verdict.code == code
    assert holdup(pod, [failed, event("Pulling", "Pulling image", at=6)]) is None


@pytest.mark.parametrize(
    "noise",
    [
        ("SandboxChanged", "Pod sandbox changed, it will be killed and re-created."),
        ("DNSConfigForming", "Nameserver limits were exceeded, some nameservers have been omitted"),
        ("FailedToRetrieveImagePullSecret", "Unable to retrieve some image pull secrets (x)"),
    ],
)
def test_what_is_said_beside_it_does_not_hide_what_a_node_cannot_prepare(noise: tuple[str, str]) -> None:
    failed = event("FailedCreatePodSandBox", 'Failed to create pod sandbox: plugin type="calico" failed (add)', at=5)
    for at in (4, 5, 6):
        found = told(waiting("ContainerCreating"), event(*noise, at=at), failed)
        assert "calico" in found.detail
    pulling = event("Pulling", "Pulling image", at=7)
    assert holdup(waiting("ContainerCreating"), [failed, pulling, event(*noise, at=8)]) is None


def test_of_a_volume_the_cause_is_told_and_not_the_time_out_in_between() -> None:
    pod, cause = waiting("ContainerCreating"), 'MountVolume.SetUp failed for volume "attached" : secret "s" not found'
    late = event(
        "FailedMount", "Unable to attach or mount volumes: unmounted volumes=[attached]: context deadline exceeded", 9
    )
    assert told(pod, event("FailedMount", cause, at=5), late).verdict.code == "secret_missing"
    assert "Multi-Attach" in told(pod, event("FailedAttachVolume", "Multi-Attach error", at=5), late).detail
    # of long ago, or of a step that came before, it is not
    old = {**event("FailedMount", cause), "lastTimestamp": "2026-11-22T11:30:00Z"}
    assert "unmounted volumes" in told(pod, old, late).detail
    box = event("FailedCreatePodSandBox", "Failed to create pod sandbox: context deadline exceeded", at=9)
    assert "sandbox" in told(pod, event("FailedMount", cause, at=5), box).detail


def test_events_that_were_combined_are_read_as_one() -> None:
    pod = waiting("ImagePullBackOff", 'Back-off pulling image "reg.example/demo:1"')
    pulled = 'Failed to pull image "reg.example/demo:1": reg.example/demo:1: not found'
    found = told(pod, event("Failed", f"(combined from similar events): {pulled}"))
    assert (found.verdict.code, "combined" in found.detail) == ("image_not_found", False)


def refused(message: str, status: int = 403, **spec: Any) -> Verdict:
    found = refusal(status, message, SPEC if not spec else ContainerSpec("i-j-a1", {}, "demo:1", **spec))
    assert isinstance(found, Verdict)
    return found


def test_a_quota_is_waited_for_with_its_numbers() -> None:
    found = refusal(
        403,
        FORBIDDEN + "exceeded quota: jobs, requested: limits.memory=512Mi,pods=1, used: limits.memory=2Gi,pods=3, "
        "limited: limits.memory=2Gi,pods=10",
        SPEC,
    )
    assert isinstance(found, Holdup)
    assert (found.reason, found.hopeless) == ("quota", False)
    assert "limits.memory: 2Gi of 2Gi used, 512Mi asked for" in found.detail


def test_more_than_the_whole_quota_is_hopeless() -> None:
    text = "exceeded quota: q, requested: limits.cpu=2500m, used: limits.cpu=0, limited: limits.cpu=2"
    found = refusal(403, FORBIDDEN + text, SPEC)
    assert isinstance(found, Holdup)
    assert found.hopeless


@pytest.mark.parametrize(
    ("message", "status", "code"),
    [
        (
            FORBIDDEN + 'violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false',
            403,
            "policy_denied",
        ),
        ('admission webhook "policy.example" denied the request: no', 400, "policy_denied"),
        ('admission webhook "policy.example" denied the request: no', 406, "policy_denied"),
        ("ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no", 422, "policy_denied"),
        (FORBIDDEN + "failed quota: q: must specify limits.memory for: job", 403, "policy_denied"),
        (FORBIDDEN + "pod node label selector conflicts with its namespace node label selector", 403, "policy_denied"),
        (FORBIDDEN + "an admission plugin says no", 403, "policy_denied"),
        (FORBIDDEN + "maximum memory usage per Container is 4Gi, but limit is 8Gi", 403, "invalid_spec"),
        (FORBIDDEN + "[minimum cpu usage per Pod is 200m, but request is 100m]", 403, "invalid_spec"),
        (FORBIDDEN + "cpu max limit to request ratio per Container is 2, but provided ratio is 4", 403, "invalid_spec"),
        (FORBIDDEN + "no PriorityClass with name high was found", 403, "invalid_spec"),
        (FORBIDDEN + 'pod rejected: RuntimeClass "nvidia" not found', 403, "invalid_spec"),
        ('Pod "i" is invalid: spec.containers[0].workingDir: Invalid value', 422, "invalid_spec"),
        ('Pod in version "v1" cannot be handled as a Pod: quantities must match', 400, "invalid_spec"),
    ],
)
def test_what_is_not_taken_is_told(message: str, status: int, code: str) -> None:
    found = refused(message, status)
    assert (found.code, found.evidence) == (code, (message,))
    assert found.remedy


def test_a_limit_and_a_field_are_named() -> None:
    both = "[maximum cpu usage per Container is 1.5, but limit is 2, maximum memory usage per Container is 1Gi, but limit is 2Gi]"
    assert "at most 1.5 of cpu, at most 1Gi of memory." in refused(FORBIDDEN + both).summary
    assert "less cpu and less memory" in refused(FORBIDDEN + both).remedy
    unlimited = refused(FORBIDDEN + "maximum cpu usage per Container is 2.  No limit is specified")
    assert unlimited.summary.endswith("at most 2 of cpu.")
    assert "requests.cpu" in refused(FORBIDDEN + "failed quota: q: must specify requests.cpu for: job").remedy
    assert "4Gi of memory" in refused(FORBIDDEN + "maximum memory usage per Container is 4Gi, but limit is 8Gi").summary
    assert "working_dir" in refused('Pod "i" is invalid: spec.containers[0].workingDir: Invalid value', 422).remedy
    assert "root" in refused(FORBIDDEN + 'violates PodSecurity "restricted": runAsNonRoot != true', user="0").remedy


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (403, 'pods is forbidden: User "system:serviceaccount:a:b" cannot create resource "pods" in API group ""'),
        (403, FORBIDDEN + "unable to create new content in namespace jobs because it is being terminated"),
        (403, FORBIDDEN + 'error looking up service account jobs/default: serviceaccount "default" not found'),
        (404, 'namespaces "jobs" not found'),
        (409, 'pods "i-j-a1" already exists'),
        (429, "Too many requests, please try again later."),
        (500, 'Internal error occurred: failed calling webhook "policy.example": timeout'),
    ],
)
def test_what_is_no_fault_of_the_pod_is_asked_for_again(status: int, message: str) -> None:
    assert refusal(status, message, SPEC) is None


@pytest.mark.parametrize(
    ("told", "number"),
    [("2", 2), ("500m", 0.5), ("2Gi", 2 * 1024**3), ("1e3", 1000), ("3k", 3000), ("x", None), ("", None)],
)
def test_quantities(told: str, number: float | None) -> None:
    assert quantity(told) == number


@pytest.mark.parametrize(
    ("count", "told"),
    [(0, "0"), (1000, "1000"), (1536 * 1024, "1536Ki"), (32 * 1024**2, "32Mi"), (3 * 1024**4, "3072Gi")],
)
def test_what_is_asked_for_is_written_as_people_do_and_is_the_same(count: int, told: str) -> None:
    assert (in_bytes(count), quantity(told)) == (told, count)


@given(st.integers(), st.text())
def test_no_answer_of_the_api_server_raises(status: int, message: str) -> None:
    refusal(status, message, SPEC)
    for sentence in ("exceeded quota: q, requested: ", "0/3 nodes are available: "):
        refusal(status, sentence + message, SPEC)
        holdup(unplaced(sentence + message))
        holdup(waiting("ErrImagePull", message))
        holdup(waiting("CreateContainerError", message))
