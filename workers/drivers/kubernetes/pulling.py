"""Why a node does not get an image, from the words of the kubelet, containerd and CRI-O. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from jobs.verdicts import Verdict

# The first that matches wins. Registries that hide what exists answer "denied" for what may not exist.
CAUSES: tuple[tuple[str, str], ...] = (
    (
        r"invalid reference format|couldn't parse image|failed to parse (image )?reference|invalid image name"
        r"|repository name .*must be lowercase|invalid tag",
        "image_invalid_name",
    ),
    (
        r"no match(ing manifest)? for platform|no matching manifest|no image found in (image index|manifest list)"
        r"|does not match the specified platform|image operating system",
        "image_wrong_platform",
    ),
    (r"no space left on device|disk quota exceeded", "disk_full"),
    (
        r"no such host|connection refused|connection reset|i/o timeout|timeout|timed out|deadline exceeded"
        r"|network is unreachable|no route to host|request canceled|server gave http response|x509|certificate"
        r"|temporary failure|server misbehaving|toomanyrequests|too many requests|rate limit|pull qps exceeded"
        r"|bad gateway|service unavailable|internal server error|\b(429|50[0234])\b|unexpected EOF|: EOF"
        r"|registryunavailable|proxyconnect|stream error|closed network connection|broken pipe",
        "image_registry_unreachable",
    ),
    (
        r"unauthorized|authentication required|authorization failed|no basic auth credentials|denied|forbidden"
        r"|incorrect username|\b40[13]\b|failed to (authorize|fetch (anonymous|oauth) token)|invalid username/password",
        "image_unauthorized",
    ),
    (
        r"manifest unknown|name unknown|repository .*does not exist|not ?found|no such image|\b404\b"
        r"|is not present with pull policy",
        "image_not_found",
    ),
)
# A registry that asks for a login before it says anything: there it is missing.
NO_LOGIN = "no basic auth credentials"
# Docker Hub says both in one sentence; there the name is more likely wrong than a login missing.
HIDDEN = r"pull access denied, repository does not exist|insufficient_scope"

SUMMARIES: Mapping[str, str] = {
    "image_invalid_name": "{image} is not a valid image name.",
    "image_wrong_platform": "The image {image} is not offered for the node's processor.",
    "image_registry_unreachable": "The registry of {image} could not be reached, or failed.",
    "image_not_found": "The image {image} was not found.",
    "image_unauthorized": "The registry refuses to give the image {image} to the cluster.",
    "image_pull_failed": "The image {image} could not be pulled.",
    "disk_full": "There was no space left on the node's disk for the image {image}.",
}

REMEDIES: Mapping[str, str] = {
    "image_invalid_name": "Write it as [registry/]name[:tag] in lower case.",
    "image_wrong_platform": "Use an image built for it, or ask for another `arch`.",
    "image_registry_unreachable": "Try again; check the registry's name, and the way from the nodes to it.",
    "image_not_found": "Check name and tag. If it is private, name its pull secret in TOWLINE_KUBERNETES_PULL_SECRETS.",
    "image_unauthorized": "Name a pull secret of the jobs' namespace in TOWLINE_KUBERNETES_PULL_SECRETS, or use another image.",
    "image_pull_failed": "The node's words are in the evidence.",
    "disk_full": "Remove images from the node, or give it a larger disk.",
}
NOT_ON_NODE = "Load it onto the nodes, or let them pull it: TOWLINE_KUBERNETES_PULL_POLICY is Never."


def pull_code(words: str) -> str:
    """The verdict code for what is said about a pull. Names and addresses in it are not words."""
    words = re.sub(r'"[^"]*"|https?://\S+', "", words)
    if re.search(HIDDEN, words, re.IGNORECASE):
        is_wrong = "does not exist" in words and NO_LOGIN not in words
        return "image_not_found" if is_wrong else "image_unauthorized"
    return next((code for cause, code in CAUSES if re.search(cause, words, re.IGNORECASE)), "image_pull_failed")


def pull_verdict(code: str, image: str, words: str, remedy: str = "") -> Verdict:
    evidence = (words[:1000],) if words else ()
    return Verdict(code, SUMMARIES[code].format(image=image or "asked for"), evidence, remedy or REMEDIES[code])
