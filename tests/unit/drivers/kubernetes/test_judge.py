"""Verdicts from what a cluster said: the recordings of a real one, and what its source says besides."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from workers.drivers.kubernetes.holdup import holdup
from workers.drivers.kubernetes.judge import judge
from workers.drivers.kubernetes.observe import observe
from workers.drivers.protocol import Handle, Observation, Phase

RECORDINGS = Path(__file__).parents[3] / "cluster" / "recordings"
HANDLE = Handle("kubernetes", "i-j-a1", "c0ffee", "kubernetes-1/jobs")
ENDINGS = {
    "succeeded": None,
    "pipe-noise": None,
    "long-line": None,
    "exit-42": "exit_code",
    "command-not-found": "command_not_found",
    "not-executable": "command_not_executable",
    "oom-init": "oom_killed",
    "oom-child": "oom_child",
    "deadline-exceeded": "timeout_run",
    "deleted-while-running": "container_vanished",
    "killed-after-grace": "container_vanished",
    "evicted-ephemeral-storage": "evicted_storage",
    "preempted": "preempted",
    "init-container-fails": "exit_code",
}
WAITING = {
    "image-never-pull": "image_not_found",
    "image-pull-backoff": "image_registry_unreachable",
    "invalid-image-name": "image_invalid_name",
    "missing-secret": "secret_missing",
    "unschedulable-arch": "unschedulable",
    "unschedulable-cpu": "unschedulable",
}
KILLING = {
    "reason": "Killing",
    "message": "Stopping container job",
    "involvedObject": {"fieldPath": "spec.containers{job}"},
}


def recording(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((RECORDINGS / f"{name}.json").read_text(encoding="utf-8"))
    return found


def last_pod(recorded: dict[str, Any]) -> dict[str, Any]:
    pod: dict[str, Any] = recorded["watch"][-1]["object"] if "gone" in recorded["final"] else recorded["final"]
    return pod


def seen(pod: Any, events: Any = (), *, phase: Phase = Phase.EXITED, node: Any = None, **known: Any) -> Observation:
    return Observation(HANDLE, phase, raw={"pod": pod, "events": list(events), "node": node}, **known)


def ended(code: int | None = None, *, status: Any = None, reason: str = "Error", message: str = "", **meta: Any) -> Any:
    """A pod whose container ended at 12:00:10; without a code, one of which no container is known."""
    terminated = {
        "exitCode": code,
        "reason": reason,
        "message": message,
        "startedAt": "2026-11-22T12:00:00Z",
        "finishedAt": "2026-11-22T12:00:10Z",
    }
    own = [] if code is None else [{"name": "job", "state": {"terminated": terminated}}]
    limits = {"limits": {"memory": "32Mi"}}
    return {
        "metadata": {"name": "i-j-a1", **meta},
        "spec": {"nodeName": "node1", "containers": [{"name": "job", "command": ["nosuch"], "resources": limits}]},
        "status": {"phase": "Failed", "containerStatuses": own, **(status or {})},
    }


def disrupted(reason: str, at: str = "2026-11-22T12:00:08Z") -> dict[str, Any]:
    told = {"type": "DisruptionTarget", "status": "True", "reason": reason, "message": "m", "lastTransitionTime": at}
    return {"conditions": [told]}


def code_of(observation: Observation) -> str | None:
    verdict = judge(observation)
    return None if verdict is None else verdict.code


def test_every_recording_is_told_how_it_ended() -> None:
    assert {path.stem for path in RECORDINGS.glob("*.json")} == {*ENDINGS, *WAITING, "node-lost"}


@pytest.mark.parametrize(("name", "code"), ENDINGS.items())
def test_a_recorded_ending_is_judged_right(name: str, code: str | None) -> None:
    recorded = recording(name)
    assert code_of(seen(last_pod(recorded), recorded["events"])) == code


@pytest.mark.parametrize(("name", "code"), ENDINGS.items())
def test_a_recorded_ending_is_judged_right_without_events(name: str, code: str | None) -> None:
    """A right to read events may be missing."""
    assert code_of(seen(last_pod(recording(name)))) == code


@pytest.mark.parametrize(("name", "code"), ENDINGS.items())
def test_what_happens_to_a_pod_after_its_end_changes_nothing(name: str, code: str | None) -> None:
    """Each state of the recording from the end on, the deletion by whoever recorded it too."""
    recorded = recording(name)
    over = [
        item["object"] for item in recorded["watch"] if item["object"]["status"]["phase"] in ("Failed", "Succeeded")
    ]
    assert [code_of(seen(pod, recorded["events"])) for pod in over] == [code] * len(over)
    assert over


@pytest.mark.parametrize(("name", "code"), ENDINGS.items())
def test_a_pod_that_is_gone_is_judged_by_what_was_seen_last(name: str, code: str | None) -> None:
    recorded = recording(name)
    known = seen(recorded["watch"][-1]["object"], recorded["events"], phase=Phase.GONE)
    assert code_of(known) == (code or "container_vanished")


@pytest.mark.parametrize(("name", "code"), ENDINGS.items())
def test_as_it_is_observed_it_is_judged_at_its_end_and_no_sooner(name: str, code: str | None) -> None:
    """With what is kept of a pod, and at the moment that the cluster said it."""
    recorded = recording(name)
    looks = [observe(item["object"], "place", recorded["events"]) for item in recorded["watch"]]
    over = [look for look in looks if look.phase is Phase.EXITED]
    assert [item["object"]["status"]["phase"] in ("Failed", "Succeeded") for item in recorded["watch"]] == [
        look in over for look in looks
    ]
    assert {code_of(look) for look in over} == {code}


@pytest.mark.parametrize("name", [*WAITING, "node-lost"])
def test_what_waits_or_is_lost_is_never_observed_as_ended(name: str) -> None:
    recorded = recording(name)
    for pod in (*(item["object"] for item in recorded["watch"]), recorded["final"]):
        assert observe(pod, "place", recorded["events"]).phase in (Phase.PENDING, Phase.RUNNING)


@pytest.mark.parametrize(("name", "code"), WAITING.items())
def test_a_recorded_hindrance_is_told(name: str, code: str) -> None:
    recorded = recording(name)
    for events in ([], recorded["events"]):
        found = holdup(last_pod(recorded), events)
        assert found is not None
        assert found.verdict.code == code
        assert found.verdict.remedy


@pytest.mark.parametrize("name", [*ENDINGS, "node-lost"])
def test_nothing_holds_up_a_pod_that_begins(name: str) -> None:
    recorded = recording(name)
    for item in recorded["watch"]:
        assert holdup(item["object"]) is None


def test_a_lost_node_is_told_once_its_pod_is_gone() -> None:
    recorded = recording("node-lost")
    assert code_of(seen(recorded["watch"][-1]["object"], recorded["events"], phase=Phase.GONE)) == "node_lost"
    assert code_of(seen({}, recorded["events"], phase=Phase.GONE)) == "node_lost"


@pytest.mark.parametrize("phase", [Phase.CREATED, Phase.PENDING, Phase.RUNNING])
def test_what_has_not_ended_is_not_judged(phase: Phase) -> None:
    with pytest.raises(ValueError, match="not ended"):
        judge(seen(ended(0), phase=phase))


@pytest.mark.parametrize(
    ("code", "reason", "verdict"),
    [
        (0, "Completed", None),
        (1, "Error", "exit_code"),
        (126, "Error", "exit_code"),
        (128, "Error", "exit_code"),
        (255, "Error", "exit_code"),
        (137, "Error", "killed_by_signal"),
        (143, "Error", "killed_by_signal"),
        (139, "Error", "killed_by_signal"),
        (137, "OOMKilled", "oom_killed"),
        (1, "OOMKilled", "oom_child"),
        (0, "OOMKilled", None),
        (137, "ContainerStatusUnknown", "node_lost"),
    ],
)
def test_exit_codes_and_the_kernel(code: int, reason: str, verdict: str | None) -> None:
    assert code_of(seen(ended(code, reason=reason))) == verdict


def test_a_child_out_of_memory_does_not_end_a_program_that_is_sent_away() -> None:
    told = {"deletionTimestamp": "2026-11-22T12:00:38Z", "deletionGracePeriodSeconds": 30}
    assert code_of(seen(ended(143, reason="OOMKilled", **told))) == "container_vanished"
    assert code_of(seen(ended(143, reason="OOMKilled", status=disrupted("PreemptionByScheduler")))) == "preempted"
    assert code_of(seen(ended(137, reason="OOMKilled", **told))) == "oom_killed"


@pytest.mark.parametrize(
    ("reason", "message", "code"),
    [
        (
            "Evicted",
            "Pod ephemeral local storage usage exceeds the total limit of containers 10Mi. ",
            "evicted_storage",
        ),
        ("Evicted", 'Usage of EmptyDir volume "scratch" exceeds the limit "1Gi". ', "evicted_storage"),
        ("Evicted", 'Container job exceeded its local ephemeral storage limit "1Gi". ', "evicted_storage"),
        (
            "Evicted",
            "The node was low on resource: memory. Threshold quantity: 100Mi, available: 9Mi. ",
            "evicted_node",
        ),
        ("Evicted", "The node was low on resource: ephemeral-storage. Container job was using 5Gi.", "evicted_node"),
        ("Evicted", "The node was low on resource: inodes. ", "evicted_node"),
        ("Evicted", "The node was low on resource: pids. ", "evicted_node"),
        ("Evicted", "The node had condition: [DiskPressure]. ", "evicted_node"),
        ("DeadlineExceeded", "Pod was active on the node longer than the specified deadline", "timeout_run"),
        ("Terminated", "Pod was terminated in response to imminent node shutdown.", "node_lost"),
        ("NodeShutdown", "Pod was rejected as the node is shutting down.", "node_lost"),
        ("NodeLost", "Node node1 which was running pod is unresponsive", "node_lost"),
        ("Preempting", "Preempted in order to admit critical pod", "preempted"),
        ("OutOfcpu", "Pod was rejected: Node didn't have enough resource: cpu", "evicted_node"),
        ("OutOfpods", "Pod was rejected: Node didn't have enough resource: pods", "evicted_node"),
        ("UnexpectedAdmissionError", "Allocate failed due to no healthy devices present", "evicted_node"),
        ("NodeAffinity", "Pod was rejected: Predicate NodeAffinity failed", "evicted_node"),
        ("SysctlForbidden", "forbidden sysctl", "policy_denied"),
    ],
)
def test_the_reason_of_a_pod_comes_before_its_exit_code(reason: str, message: str, code: str) -> None:
    for exit_code in (0, 1, 137, 143):
        pod = ended(exit_code, status={"reason": reason, "message": message})
        verdict = judge(seen(pod))
        assert verdict is not None
        assert verdict.code == code
        assert message.strip() in verdict.evidence[0]


@pytest.mark.parametrize(
    ("message", "short"),
    [
        ("The node was low on resource: inodes. ", "inodes"),
        ("The node was low on resource: ephemeral-storage. Container job was using 5Gi.", "ephemeral-storage"),
        ("The node had condition: [MemoryPressure]. ", "memory"),
    ],
)
def test_what_the_node_was_short_of_is_named(message: str, short: str) -> None:
    verdict = judge(seen(ended(137, status={"reason": "Evicted", "message": message})))
    assert verdict is not None
    assert verdict.summary == f"The node ran out of {short}, and evicted the pod."


def test_a_deadline_before_the_start_is_no_long_run() -> None:
    """What it waited for until then is in the evidence."""
    waiting = [{"name": "job", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such host"}}}]
    verdict = judge(seen(ended(status={"reason": "DeadlineExceeded", "containerStatuses": waiting})))
    assert verdict is not None
    assert verdict.code == "timeout_start"
    assert "waiting: ImagePullBackOff: no such host" in verdict.evidence


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        ("PreemptionByScheduler", "preempted"),
        ("DeletionByTaintManager", "node_lost"),
        ("DeletionByPodGC", "node_lost"),
        ("EvictionByEvictionAPI", "evicted_node"),
        ("TerminationByKubelet", "evicted_node"),
    ],
)
def test_a_disruption_is_no_end_of_the_programs_own(reason: str, code: str) -> None:
    for exit_code in (None, 0, 1, 143):
        assert code_of(seen(ended(exit_code, status=disrupted(reason)))) == code
    assert code_of(seen(ended(status=disrupted(reason)), phase=Phase.GONE)) == code


def test_who_had_ended_before_it_was_disrupted_ended_by_itself() -> None:
    late = disrupted("EvictionByEvictionAPI", at="2026-11-22T12:00:30Z")
    assert code_of(seen(ended(0, status=late))) is None
    assert code_of(seen(ended(42, status=late))) == "exit_code"


def test_a_program_that_obeys_a_deletion_has_not_succeeded() -> None:
    told = {"deletionTimestamp": "2026-11-22T12:00:38Z", "deletionGracePeriodSeconds": 30}
    assert code_of(seen(ended(0, **told))) == "container_vanished"
    late = {"deletionTimestamp": "2026-11-22T12:00:50Z", "deletionGracePeriodSeconds": 30}
    assert code_of(seen(ended(0, **late))) is None
    cut = {"deletionTimestamp": "2026-11-22T12:00:11Z", "deletionGracePeriodSeconds": 0}
    assert code_of(seen(ended(0, **cut))) is None
    assert code_of(seen(ended(0, **cut), [KILLING])) == "container_vanished"
    assert code_of(seen(ended(143, **cut))) == "container_vanished"


@pytest.mark.parametrize(
    ("reason", "message", "code"),
    [
        ("Preempted", "Preempted by pod 1 on node node1", "preempted"),
        ("TaintManagerEviction", "Marking for deletion Pod jobs/i-j-a1", "node_lost"),
        ("TaintManagerEviction", "Cancelling deletion of Pod jobs/i-j-a1", "container_vanished"),
        ("Evicted", "The node was low on resource: memory.", "evicted_node"),
        ("NodeNotReady", "Node is not ready", "node_lost"),
        ("Killing", "Stopping container job", "container_vanished"),
    ],
)
def test_events_tell_of_a_pod_that_is_gone(reason: str, message: str, code: str) -> None:
    assert code_of(seen({}, [{"reason": reason, "message": message}], phase=Phase.GONE)) == code


def test_a_node_that_was_away_for_a_while_is_not_blamed() -> None:
    away = {"reason": "NodeNotReady", "message": "Node is not ready"}
    assert code_of(seen(ended(42), [away])) == "exit_code"
    told = {"deletionTimestamp": "2026-11-22T12:00:38Z", "deletionGracePeriodSeconds": 30}
    assert code_of(seen(ended(143, **told), [away, KILLING])) == "container_vanished"


def test_gone_without_a_word_is_vanished() -> None:
    assert code_of(seen(None, phase=Phase.GONE)) == "container_vanished"
    assert code_of(Observation(HANDLE, Phase.GONE)) == "container_vanished"


def test_gone_with_its_node_is_a_lost_node() -> None:
    node = {"metadata": {"name": "node1"}, "status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}}
    assert code_of(seen(ended(), phase=Phase.GONE, node=node)) == "node_lost"


def test_failed_without_a_container_is_no_success() -> None:
    verdict = judge(seen(ended()))
    assert verdict is not None
    assert verdict.retryable


START = "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: "


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ('exec: "nosuch": executable file not found in $PATH: unknown', "command_not_found"),
        ("crun: executable file `nosuch` not found in $PATH: No such file or directory", "command_not_found"),
        ('error finding executable "nosuch" in PATH [/bin]: no such file or directory', "command_not_found"),
        ('exec: "/tmp": is a directory: unknown', "command_not_executable"),
        ("crun: open executable: Permission denied: OCI permission denied", "command_not_executable"),
        ("exec /app: exec format error", "wrong_platform"),
        ('chdir to cwd ("/w") set in config.json failed: permission denied', "bad_working_dir"),
        ("crun: chdir to `/w`: No such file or directory", "bad_working_dir"),
        ("mkdir /proc/w: read-only file system", "bad_working_dir"),
        ("unable to find user bob: no matching entries in passwd file", "bad_user"),
        ("write /run/x: no space left on device", "disk_full"),
        ("container init was OOM-killed (memory limit too low?)", "oom_killed"),
        ("fork/exec /proc/self/exe: resource temporarily unavailable", "pids_exhausted"),
        ('error mounting "/a" to rootfs at "/b": not a directory', "invalid_spec"),
        ("nvidia-container-cli: initialization error", "unschedulable"),
        ('error during container init: exec: "/run.sh": permission denied: unknown', "command_not_executable"),
        ("write /proc/self/attr/apparmor/exec: no such file or directory", "internal_error"),
        ('exec: "seccomp-test": executable file not found in $PATH: unknown', "command_not_found"),
        ("write /proc/self/attr/keycreate: permission denied", "internal_error"),
        ("unable to start container process: unable to apply caps: operation not permitted", "internal_error"),
        ("unable to start container process: error setting rlimit type 7: operation not permitted", "internal_error"),
        ("unable to init seccomp: error loading seccomp filter: invalid argument", "internal_error"),
        ("unable to apply cgroup configuration: mkdir /sys/fs/cgroup/x: no space left on device", "internal_error"),
        ("unable to start container process: error mounting: operation not permitted", "internal_error"),
        ("a new thing", "internal_error"),
    ],
)
def test_what_could_not_start_is_told_by_the_runtimes_words(message: str, code: str) -> None:
    verdict = judge(seen(ended(128, reason="StartError", message=START + message)))
    assert verdict is not None
    assert verdict.code == code
    assert message in verdict.evidence[0]
    assert verdict.remedy


@pytest.mark.parametrize(
    ("exit_code", "code"), [(127, "command_not_found"), (126, "command_not_executable"), (1, "internal_error")]
)
def test_what_could_not_start_without_a_word_is_told_by_its_code(exit_code: int, code: str) -> None:
    assert code_of(seen(ended(exit_code, reason="ContainerCannotRun"))) == code


def test_a_program_that_could_not_even_be_executed_is_told_by_its_only_line() -> None:
    assert code_of(seen(ended(255, message="exec /app: exec format error"))) == "wrong_platform"
    assert code_of(seen(ended(1, message="exec /run.sh: no such file or directory\n"))) == "command_not_found"
    assert code_of(seen(ended(1, message="hello\nexec /app: exec format error"))) == "exit_code"


def test_an_init_container_that_ran_out_of_memory_is_named() -> None:
    pod = ended()
    pod["status"]["containerStatuses"] = [{"name": "job", "state": {"waiting": {"reason": "PodInitializing"}}}]
    told = {"exitCode": 137, "reason": "OOMKilled", "startedAt": "2026-11-22T12:00:00Z"}
    pod["status"]["initContainerStatuses"] = [{"name": "setup", "state": {"terminated": told}}]
    verdict = judge(seen(pod))
    assert verdict is not None
    assert (verdict.code, "setup" in verdict.summary) == ("oom_killed", True)


def test_the_evidence_has_what_is_known() -> None:
    verdict = judge(seen(ended(137, reason="OOMKilled")))
    assert verdict is not None
    assert {"exit code: 137", "node: node1", "memory limit: 32Mi"} <= set(verdict.evidence)


@pytest.mark.parametrize("name", [*ENDINGS, *WAITING, "node-lost"])
@pytest.mark.parametrize("odd", [None, "", [], 7, {"a": []}, [None, 3]], ids=repr)
def test_odd_and_missing_fields_never_raise(name: str, odd: Any) -> None:
    """Every field of every recorded pod and event, in turn."""
    recorded = recording(name)
    pod, events = last_pod(recorded), recorded["events"][-3:]
    for broken in mangled({"status": pod["status"], "metadata": pod["metadata"], "spec": pod["spec"]}, odd):
        for phase in (Phase.EXITED, Phase.GONE):
            judge(seen(broken, events, phase=phase))
        holdup(broken, events)
    for broken in mangled({"events": events}, odd):
        told = broken["events"] if isinstance(broken["events"], list) else []
        judge(seen(pod, told))
        holdup({}, told)


def mangled(value: Any, odd: Any) -> Any:
    """Copies of it, each with one field that is odd."""
    whole = copy.deepcopy(value)
    for parent, key in list(places(whole)):
        kept, parent[key] = parent[key], odd
        yield whole
        parent[key] = kept


def places(value: Any) -> Any:
    keys = range(len(value)) if isinstance(value, list) else list(value) if isinstance(value, dict) else ()
    for key in keys:
        yield value, key
        yield from places(value[key])
