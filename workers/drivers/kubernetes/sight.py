"""Looking at single pods: what the watch says while it hears something, else a question to the API server."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from workers.drivers.kubernetes.observe import GIVEN_UP, has_begun, phase_of
from workers.drivers.kubernetes.pods import Pods, namespace_of
from workers.drivers.kubernetes.reading import condition, text
from workers.drivers.protocol import Handle, Phase


class Sight:
    """Safe for many threads."""

    def __init__(self, pods: Pods) -> None:
        self.pods = pods

    def look(self, handle: Handle) -> tuple[Mapping[str, Any] | None, bool]:
        """The pod as it was seen last, and whether it is gone.

        That is asked for: a watch by a label says `DELETED` of what has lost the label, too, and that runs on.
        """
        watch = self.pods.watch(namespace_of(handle))
        if (seen := watch.seen(handle.uid)) is not None and not seen.gone:
            return seen.pod, False
        if (pod := self.pods.this(handle)) is not None:
            return pod, False
        last = watch.last_of(handle.uid)
        return last.pod if last else None, True


class Glance:
    """Short looks at one pod, and waiting for the next reason to take one.

    As far as the last look tells, `has_begun`: its program may have run; `is_given_up`: it was, with its node.
    """

    def __init__(self, sight: Sight, handle: Handle) -> None:
        self._sight, self._handle = sight, handle
        self._watch = sight.pods.watch(namespace_of(handle))
        self._version = 0
        self.has_terminal = False
        self.has_begun = True
        self.is_given_up = False

    def look(self) -> Phase:
        known = self._watch.last_of(self._handle.uid)  # before the look: what comes in between is news
        self._version = known.version if known else 0
        pod, gone = self._sight.look(self._handle)
        self.has_terminal = pod is not None and any(each.get("tty") for each in pod["spec"]["containers"])
        self.is_given_up = pod is not None and text(condition(pod, "DisruptionTarget"), "reason") == GIVEN_UP
        self.has_begun = pod is None or has_begun(pod)
        return Phase.GONE if pod is None or gone else phase_of(pod, datetime.now(UTC))

    def wait(self, seconds: float) -> None:
        self._watch.wait(self._handle.uid, self._version, seconds)
