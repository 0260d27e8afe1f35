"""Having an image on the engine: looked up, or pulled with progress, and never of the wrong processor."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any

from docker.auth import get_config_header, resolve_repository_name
from docker.errors import APIError, NotFound
from docker.utils import parse_repository_tag
from docker_image.reference import InvalidReference, Reference
from requests import Response
from requests.exceptions import RequestException
from urllib3.exceptions import ReadTimeoutError

from workers.drivers.docker.connection import Connection, asking, text_of
from workers.drivers.docker.locks import HostLocks
from workers.drivers.docker.progress import PullTally
from workers.drivers.docker.pull_errors import cause_of, pull_verdict
from workers.drivers.docker.request import explicit
from workers.drivers.protocol import Image, PullProgress, Refused, Unavailable

IMAGE_ID = re.compile(r"sha256:[0-9a-f]{64}")
ONE_PULL_SECONDS = 3600.0

WAIT_SECONDS = 0.5

ELSEWHERE = PullProgress(0, 0, "waiting: another job is pulling it")
ASKING = PullProgress(0, 0, "asking the registry")

Progress = Callable[[PullProgress], None]


@dataclass(frozen=True)
class ImageStore:
    """The engine's images. `silence_seconds`: how long a pull may say nothing before it counts as stuck."""

    connection: Connection
    locks: HostLocks
    silence_seconds: float

    def resolve(self, reference: str, arch: str | None, progress: Progress) -> Image:
        """The image, pulled when it is missing. Raises `Refused` with an `image_*` verdict, or `disk_full`."""
        name = checked(reference)
        with asking(f"look for the image {name}"):
            if (image := self._local(name, arch)) is not None:
                return image
            if IMAGE_ID.fullmatch(name):
                raise Refused(pull_verdict("image_not_found", name, arch, "an image id cannot be pulled"))
            with self.locks.named(f"pull {name} {arch}", ONE_PULL_SECONDS, lambda: progress(ELSEWHERE)):
                return self._local(name, arch) or self._pulled(name, arch, progress)

    def _local(self, name: str, arch: str | None) -> Image | None:
        """None when it is missing or of another processor: the registry may have the right one."""
        try:
            found = self.connection.client.inspect_image(name)  # type: ignore[no-untyped-call]
        except NotFound:
            return None
        return as_image(name, found, pulled=False) if arch in {None, found["Architecture"]} else None

    def _pulled(self, name: str, arch: str | None, progress: Progress) -> Image:
        try:
            self._pull(name, arch, progress)
        except Refused as refused:
            raise self._told_apart(name, arch, refused) from refused
        image = self._local(name, None)
        if image is None:
            raise Unavailable(f"the image {name} was removed right after it was pulled")
        if arch not in {None, image.architecture}:
            raise Refused(pull_verdict("image_wrong_platform", name, arch, f"the image is for {image.architecture}"))
        return Image(name, image.digest, image.architecture, image.size_bytes, pulled=True)

    def _told_apart(self, name: str, arch: str | None, refused: Refused) -> Refused:
        """An image that is here for another processor, and that the registry does not have, is a wrong platform."""
        here = self._local(name, None)
        if here is None or refused.verdict.code not in {"image_not_found", "image_unauthorized"}:
            return refused
        seen = f"the engine has it for {here.architecture}; {'; '.join(refused.verdict.evidence)}"
        return Refused(pull_verdict("image_wrong_platform", name, arch, seen))

    def _pull(self, name: str, arch: str | None, progress: Progress) -> None:
        try:
            tally, now = PullTally(), ASKING
            for event in self._told(name, arch, lambda: progress(now)):
                if "error" in event:
                    raise Refused(pull_verdict(cause_of(event["error"]), name, arch, event["error"]))
                progress(now := tally.add(event))
        except APIError as error:
            raise Refused(pull_verdict(cause_of(text_of(error)), name, arch, text_of(error))) from error
        except RequestException as error:
            if not is_silence(error):
                raise
            stuck = f"nothing came for {self.silence_seconds:g} s"
            raise Refused(pull_verdict("image_registry_unreachable", name, arch, stuck)) from error

    def _told(self, name: str, arch: str | None, waiting: Callable[[], None]) -> Iterator[dict[str, Any]]:
        """What the engine says of the pull. While it says nothing `waiting` is called, and what that raises ends the wait.

        The reading is a thread's, as a registry that dawdles must not hold up a cancel or a time-out.
        """
        told: SimpleQueue[dict[str, Any] | Exception | None] = SimpleQueue()
        left = threading.Event()

        def read() -> None:
            try:
                with closing(self._ask(name, arch)) as response:
                    for event in events_of(response):
                        if left.is_set():
                            return
                        told.put(event)
                told.put(None)
            except Exception as error:  # noqa: BLE001 - a thread's border: raised where it is waited for
                told.put(error)

        threading.Thread(target=read, daemon=True, name="pull").start()
        try:
            while (event := _next(told, waiting)) is not None:
                yield event
        finally:
            left.set()

    def _ask(self, name: str, arch: str | None) -> Response:
        repository, tag = parse_repository_tag(name)
        registry, _ = resolve_repository_name(repository)
        auth = get_config_header(self.connection.client, registry)
        return self.connection.request(
            "POST",
            "/images/create",
            params={"fromImage": repository, "tag": tag} | ({"platform": f"linux/{arch}"} if arch else {}),
            headers={"X-Registry-Auth": auth.decode()} if auth else None,
            read_seconds=self.silence_seconds,
            stream=True,
        )


def _next(told: SimpleQueue[dict[str, Any] | Exception | None], waiting: Callable[[], None]) -> dict[str, Any] | None:
    while True:
        try:
            event = told.get(timeout=WAIT_SECONDS)
        except Empty:
            waiting()
            continue
        if isinstance(event, Exception):
            raise event
        return event


def checked(reference: str) -> str:
    """The reference with an explicit tag or digest, or an image id as it is. Raises `Refused(image_invalid_name)`."""
    if (fault := fault_of(reference)) is not None:
        raise Refused(pull_verdict("image_invalid_name", repr(reference[:300]), None, fault))
    return explicit(reference)


def fault_of(reference: str) -> str | None:
    """What is wrong with an image name, in a few words; None if it is a name."""
    if not reference.isprintable() or reference != reference.strip():
        return "blanks or control characters"
    try:
        Reference.parse_normalized_named(reference)
    except InvalidReference as error:
        return str(error)
    return None


def as_image(name: str, found: dict[str, Any], *, pulled: bool) -> Image:
    repository, _ = parse_repository_tag(name)
    digests = [digest for digest in found.get("RepoDigests") or [] if digest.rpartition("@")[0] == repository]
    return Image(name, digests[0] if digests else found["Id"], found["Architecture"], found["Size"], pulled)


def events_of(response: Response) -> Iterator[dict[str, Any]]:
    """The pull's JSON lines, to the last: a stream that is not read to its end cancels the pull."""
    for line in response.iter_lines(chunk_size=None):
        if line:
            yield json.loads(line)


def is_silence(error: RequestException) -> bool:
    return "Read timed out" in str(error) or any(isinstance(part, ReadTimeoutError) for part in error.args)
