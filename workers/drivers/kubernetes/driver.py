"""The Kubernetes driver: the six operations and usage, each a short way to the cluster and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from jobs.verdicts import Verdict
from workers.drivers.kubernetes import judge, logs, observe
from workers.drivers.kubernetes.connection import Cluster, Forbidden, asking
from workers.drivers.kubernetes.ending import Ending
from workers.drivers.kubernetes.engine import engine_id, engine_of
from workers.drivers.kubernetes.evidence import Evidence, Inquiry
from workers.drivers.kubernetes.options import Options
from workers.drivers.kubernetes.pods import Pods, namespace_of
from workers.drivers.kubernetes.sight import Glance, Sight
from workers.drivers.kubernetes.start import Starter
from workers.drivers.kubernetes.usage import Meter, Metrics
from workers.drivers.output import Missing, Output
from workers.drivers.protocol import (
    Consent,
    ContainerSpec,
    Engine,
    Handle,
    Observation,
    Phase,
    Unavailable,
    Unreadable,
    Usage,
    unasked,
)

DEFAULTS = Options()
LOG_PATIENCE_SECONDS = 10  # with a kubelet that answers and does not find the log: it or its runtime is being started
# Who it is, is asked first of all, by a worker that has just started: one that hangs must not keep it from the jobs that
# it had, on this cluster and on others.
WHO_SECONDS = 5.0
SLOW = timedelta(seconds=3)  # a pod that has a node and has not begun after that: its events say why


class KubernetesDriver:
    """Pods of one cluster. Connects when first asked; safe to use from many threads.

    `context` names one of the kubeconfig's, see `connection`. `silence_seconds` is after how long without output `logs`
    may return, `gone_seconds` how long `remove` waits for the pod's end. What is looked at comes from one watch per
    namespace, for as long as that hears something.
    """

    name = observe.NAME

    def __init__(
        self,
        context: str | None = None,
        options: Options = DEFAULTS,
        *,
        silence_seconds: float = 10,
        gone_seconds: float = 5,
    ) -> None:
        self._options = options
        self._silence = silence_seconds
        self._cluster = Cluster(context)
        self._pods = Pods(self._cluster)
        self._sight = Sight(self._pods)
        self._starter = Starter(self._cluster, self._pods, options)
        self._ending = Ending(self._cluster, self._pods, gone_seconds)
        self._inquiry = Inquiry(self._cluster)
        self._metrics, self._meter = Metrics(self._cluster), Meter()
        self._id: str | None = None

    def start(self, spec: ContainerSpec, consent: Consent = unasked) -> Handle:
        """See the protocol. One that can't begin stays as a pending pod with `holdup`, or an exited one with `error`."""
        with asking(f"start {spec.name}"):
            self._known_id()
            return self._starter.start(spec, self._place_in, consent)

    def inspect(self, handle: Handle) -> Observation:
        with asking(f"look at {handle.name}"):
            self._must_be_here(handle)
            pod, gone = self._sight.look(handle)
            if pod is None or gone:
                told = self._evidence(handle, pod, Phase.GONE)
                return observe.gone(handle, pod, told.events, told.node)
            seen = observe.observe(pod, handle.place)
            if not _wants_evidence(seen, pod):
                return seen
            told = self._evidence(handle, pod, seen.phase)
            return observe.observe(pod, handle.place, told.events, told.node)

    def find(self, name: str) -> Observation | None:
        with asking(f"find {name}"):
            for namespace in self._options.all_namespaces:
                pod = self._pods.named(namespace, name)
                if pod is not None and observe.is_ours(pod):
                    return observe.observe(pod, self._place_in(namespace))
        return None

    def survey(self, installation: str) -> Iterator[Observation]:
        """One request per namespace."""
        with asking("list the pods"):
            listed = [
                (pod, self._place_in(namespace))
                for namespace in self._options.all_namespaces
                for pod in self._pods.of(installation, namespace)
            ]
        return (observe.observe(pod, place) for pod, place in listed)

    def logs(self, handle: Handle, after: str | None) -> Iterator[Output]:
        """See the protocol. What is pending is waited for, as silence is."""
        with asking(f"read the log of {handle.name}"):
            self._must_be_here(handle)
            glance = Glance(self._sight, handle)
            phase = glance.look()
            if phase is Phase.PENDING:
                glance.wait(self._silence)
                phase = glance.look()
            if phase is Phase.GONE:
                yield Missing("removed")
            if phase is Phase.EXITED and after is None and not glance.has_begun:
                return  # turned away by its node, or never on one: kubelets have no answer for that
            if phase in (Phase.RUNNING, Phase.EXITED):
                yield from self._followed(handle, after, glance)

    def stop(self, handle: Handle, grace_seconds: float) -> None:
        """The grace that counts is the one it was started with: after it the node itself kills it, asked again or not."""
        with asking(f"stop {handle.name}"):
            self._must_be_here(handle)
            self._ending.stop(handle)

    def remove(self, handle: Handle) -> None:
        """Raises `Unavailable` while its node has not said that it has ended."""
        with asking(f"remove {handle.name}"):
            self._must_be_here(handle)
            self._ending.remove(handle)

    def withdraw(self, handle: Handle) -> bool:
        with asking(f"withdraw {handle.name}"):
            self._must_be_here(handle)
            return self._ending.withdraw(handle)

    def judge(self, seen: Observation) -> Verdict | None:
        return judge.judge(seen)

    def probe(self) -> Engine:
        with asking("tell about itself"):
            version = self._cluster.request("GET", "/version", read_seconds=WHO_SECONDS)
            return engine_of(self._namespace(), version, self._nodes(), self._options.gpu_resource)

    def usage(self, handle: Handle) -> Usage | None:
        with asking(f"measure {handle.name}"):
            self._must_be_here(handle)
            pod, gone = self._sight.look(handle)
            seen = None if pod is None or gone else observe.observe(pod, handle.place)
            if seen is None or seen.phase is not Phase.RUNNING or seen.started_at is None:
                return None
            sample = self._metrics.of(namespace_of(handle), handle.name)
            return None if sample is None else self._meter.read(handle.uid, sample, seen.started_at)

    def _followed(self, handle: Handle, after: str | None, glance: Glance) -> Iterator[Output]:
        try:
            yield from logs.follow(
                self._cluster,
                namespace_of(handle),
                handle.name,
                after,
                glance.look,
                glance.wait,
                self._silence,
                terminal=glance.has_terminal,
                patience_seconds=0 if glance.is_given_up else LOG_PATIENCE_SECONDS,
            )
        except Unreadable as error:
            if glance.is_given_up:
                error.patience_seconds = 0
            raise

    def _evidence(self, handle: Handle, pod: Mapping[str, Any] | None, phase: Phase) -> Evidence:
        node = None if pod is None else pod["spec"].get("nodeName")
        return self._inquiry.about(handle.uid, namespace_of(handle), node, phase)

    def _must_be_here(self, handle: Handle) -> None:
        """A pod of another cluster must never look like one that is gone."""
        engine = handle.place.partition("/")[0]
        if engine != self._known_id():
            raise Unavailable(f"{handle.name} is in the cluster {engine}, this one is {self._known_id()}")

    def _place_in(self, namespace: str) -> str:
        return f"{self._known_id()}/{namespace}"

    def _known_id(self) -> str:
        if self._id is None:
            self._id = engine_id(self._namespace())
        return self._id

    def _namespace(self) -> Mapping[str, Any]:
        path = f"/api/v1/namespaces/{self._options.namespace}"
        found: Mapping[str, Any] = self._cluster.request("GET", path, read_seconds=WHO_SECONDS)
        return found

    def _nodes(self) -> list[Mapping[str, Any]]:
        try:
            return list(self._cluster.request("GET", "/api/v1/nodes").get("items") or ())
        except Forbidden:
            return []


def _wants_evidence(seen: Observation, pod: Mapping[str, Any]) -> bool:
    """Whether what happened beside the pod may explain it."""
    if seen.phase is Phase.EXITED:
        return seen.exit_code != 0 or bool(pod["metadata"].get("deletionTimestamp"))
    if seen.phase is not Phase.PENDING or not pod["spec"].get("nodeName"):
        return False
    return seen.created_at is not None and datetime.now(UTC) - seen.created_at > SLOW
