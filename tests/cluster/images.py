"""Which images the node has, which it could pull, and what is said of the others. Pure."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

REFERENCE = re.compile(
    r"(?:[A-Za-z0-9.-]+(?::\d+)?/)?[a-z0-9]+(?:[._/-]+[a-z0-9]+)*(?::[\w][\w.-]{0,127})?(?:@sha256:[0-9a-f]{64})?"
)
RECORDING = "recording/"
PRESENT = ("towline/demo:1", "docker.io/towline/demo:1", "docker.io/library/busybox:test", "busybox:test")
UNPACK = 'failed to pull and unpack image "{0}": failed to resolve reference "{0}": '
SAID = {
    "missing.example": "{0}: not found",
    "private.example": "pull access denied, repository does not exist or may require authorization: "
    "authorization failed: no basic auth credentials",
    "limited.example": "unexpected status from HEAD request to https://limited.example/v2/: 429 Too Many Requests: "
    "toomanyrequests: You have reached your pull rate limit",
    "127.0.0.1:9": 'failed to do request: Head "http://127.0.0.1:9/v2/none/manifests/1": dial tcp 127.0.0.1:9: connect: '
    "connection refused",
    "platform.example": "no match for platform in manifest: not found",
}
UNREACHED = 'failed to do request: Head "https://{1}/v2/": dial tcp: lookup {1}: no such host'
SLOW = "slow.example"


@dataclass(frozen=True)
class Outlook:
    """What comes of an image: it is there, or can be pulled, or not."""

    present: bool = False
    pullable: bool = False
    reason: str = ""
    message: str = ""
    for_ever: bool = False  # nothing is tried again


def outlook(image: str, policy: str, also: tuple[str, ...] = ()) -> Outlook:
    if not REFERENCE.fullmatch(image):
        said = "invalid reference format"
        if image != image.lower():
            said += f": repository name ({image.partition('/')[2]}) must be lowercase"
        message = f'Failed to apply default image tag "{image}": couldn\'t parse image name "{image}": {said}'
        return Outlook(reason="InvalidImageName", message=message, for_ever=True)
    bare = image.partition("@")[0]
    host = image.partition("/")[0]
    if (
        image in PRESENT + also
        or bare in PRESENT + also
        or any(one.rpartition(":")[0] == bare for one in PRESENT + also)
    ):
        return Outlook(present=policy != "Always", pullable=True)
    if policy == "Never":
        message = f'Container image "{image}" is not present with pull policy of Never'
        return Outlook(reason="ErrImageNeverPull", message=message, for_ever=True)
    if host == SLOW:
        return Outlook(pullable=True)
    said = UNPACK.format(image) + SAID.get(host, UNREACHED).format(image, host)
    return Outlook(reason="ErrImagePull", message=said)


def digest(image: str) -> str:
    return f"sha256:{hashlib.sha256(image.encode()).hexdigest()}"


def identity(image: str) -> str:
    """As a container's status has it: preloaded images have no repository."""
    if "@" in image:
        return image
    repository = image.rpartition(":")[0] or image
    return f"{repository}@{digest(image)}" if image.startswith(SLOW) else digest(image)
