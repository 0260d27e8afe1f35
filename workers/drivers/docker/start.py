"""Starting a container once: find or create it under its name, put the script in, start it, feed its stdin.

One lock per name makes "look, then start" one step among the workers of a host. The engine itself has no such thing:
it starts an exited container again without a word.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from docker import APIClient
from docker.errors import APIError, NotFound
from requests.exceptions import Timeout

from jobs.failpoints import reach
from jobs.verdicts import Verdict
from workers.drivers.docker.connection import Connection, asking, text_of
from workers.drivers.docker.locks import HostLocks
from workers.drivers.docker.observe import NAME, OUR_LABELS, is_ours, observe
from workers.drivers.docker.refusals import refusal
from workers.drivers.docker.request import SCRIPT_DIR, create_body, platform_of, script_archive, without_disk_quota
from workers.drivers.docker.stdin import Stdin
from workers.drivers.protocol import Consent, ContainerSpec, Handle, Observation, Phase, Refused, Unavailable


@dataclass(frozen=True)
class Starter:
    """What starting needs besides the spec. `slots`: how many starts the host does at once; more only wait longer."""

    connection: Connection
    locks: HostLocks
    slots: int
    start_seconds: float
    log_bytes: int

    def start(self, spec: ContainerSpec, place: str, consent: Consent) -> Observation:
        """Raises `Refused` for what the engine will never create, and for a stranger under the name."""
        with self.locks.named(spec.name, self.start_seconds), asking(f"start {spec.name}"):
            found = self._find(spec, place, consent)
            if found is None:
                consent(None)
                found = self._create(spec, place)
            if found.phase is Phase.CREATED:
                reach("created")
                with self.locks.slot("start", self.slots, self.start_seconds):
                    consent(found.handle)
                    self._run(found.handle.uid, spec)
            return found

    @property
    def _client(self) -> APIClient:
        return self.connection.client

    def _find(self, spec: ContainerSpec, place: str, consent: Consent) -> Observation | None:
        found = self._adopt(spec, place)
        if found is not None and found.phase is Phase.CREATED and spec.stdin is not None:
            # Whoever created it may have attached before dying: the engine would end the stdin where that one ended.
            consent(None)
            self._client.remove_container(found.handle.uid, v=True)
            return None
        return found

    def _adopt(self, spec: ContainerSpec, place: str) -> Observation | None:
        try:
            found = observe(self._client.inspect_container(spec.name), place)
        except NotFound:
            return None
        if found.handle.name != spec.name:  # the engine also finds by the beginning of an id
            return None
        if not is_ours(found.labels) or any(found.labels[key] != spec.labels.get(key) for key in OUR_LABELS):
            raise Refused(_stranger(found))
        return None if found.phase is Phase.GONE else found

    def _create(self, spec: ContainerSpec, place: str) -> Observation:
        try:
            uid = self._post(spec)
        except Timeout:
            pass  # it may be there all the same
        except APIError as error:
            if error.status_code != 409:
                raise
        else:
            return Observation(Handle(NAME, spec.name, uid, place), Phase.CREATED, labels=spec.labels)
        created = self._adopt(spec, place)
        if created is None:
            raise Unavailable(f"the engine did not create {spec.name}, or is removing it")
        return created

    def _post(self, spec: ContainerSpec) -> str:
        """The id of the new container."""
        body = create_body(spec, self.log_bytes)
        try:
            return self._create_from(body, spec)
        except APIError as error:
            text = text_of(error)
            if spec.disk_bytes is not None and "storage-opt" in text:
                return self._create_from(without_disk_quota(body), spec)
            if (verdict := refusal(error.status_code or 500, text, spec)) is not None:
                raise Refused(verdict) from error
            raise

    def _create_from(self, body: dict[str, Any], spec: ContainerSpec) -> str:
        answer = self._client.create_container_from_config(body, spec.name, platform_of(spec))  # type: ignore[no-untyped-call]
        return str(answer["Id"])

    def _run(self, uid: str, spec: ContainerSpec) -> None:
        if spec.script is not None:
            self._client.put_archive(uid, SCRIPT_DIR, script_archive(spec.script))
        stdin = self._attach(uid, spec.stdin)
        try:
            self.connection.request("POST", f"/containers/{uid}/start", read_seconds=self.start_seconds)
        except APIError:
            if stdin is not None:
                stdin.close()
            if not self._has_failed_to_start(uid):
                raise
        else:
            if stdin is not None:
                stdin.feed()

    def _attach(self, uid: str, text: str | None) -> Stdin | None:
        return None if text is None else Stdin.attach(self.connection, uid, text, self.start_seconds)

    def _has_failed_to_start(self, uid: str) -> bool:
        """Whether the engine has given up on it, which its own record says and the status of its answer does not."""
        return observe(self._client.inspect_container(uid), "").phase is Phase.EXITED


def _stranger(found: Observation) -> Verdict:
    return Verdict(
        "internal_error",
        f"The name {found.handle.name} is taken by a container that is not this attempt's.",
        (f"id: {found.handle.uid}", f"labels: {dict(found.labels)}"),
        "Rename or remove that container; Towline leaves it alone.",
    )
