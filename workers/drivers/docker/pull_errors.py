"""Why an image could not be had, from the engine's words. Pure.

The status does not tell: a denied pull comes as 403, 404 or 500, and most errors come inside a 200 stream.
"""

from __future__ import annotations

import re

from jobs.verdicts import Verdict

# The first that matches wins: what is unreachable also ends in "not found" at times.
CAUSES: tuple[tuple[str, str], ...] = (
    (r"invalid reference format|invalid repository name|must be lowercase|invalid tag", "image_invalid_name"),
    (
        r"no matching manifest|does not match the specified platform|image operating system|no match for platform",
        "image_wrong_platform",
    ),
    (r"no space left on device", "disk_full"),
    (
        r"no such host|connection refused|connection reset|i/o timeout|timeout|timed out|deadline exceeded"
        r"|network is unreachable|no route to host|request canceled|server gave http response|x509|certificate"
        r"|temporary failure|server misbehaving|toomanyrequests|too many requests|bad gateway|service unavailable"
        r"|internal server error|\b50[0234]\b|unexpected EOF|: EOF",
        "image_registry_unreachable",
    ),
    (r"repository does not exist|manifest unknown|name unknown|not found|no such image", "image_not_found"),
    (
        r"unauthorized|authentication required|no basic auth credentials|denied|forbidden|incorrect username",
        "image_unauthorized",
    ),
)

SUMMARIES = {
    "image_invalid_name": "{image} is not a valid image name.",
    "image_wrong_platform": "The image {image} is not offered for {arch}.",
    "image_registry_unreachable": "The registry of {image} could not be reached, or failed.",
    "image_not_found": "The image {image} was not found.",
    "image_unauthorized": "The registry refuses to give the image {image} to us.",
    "image_pull_failed": "The image {image} could not be pulled.",
    "disk_full": "There was no space left on the engine's disk for the image {image}.",
}

REMEDIES = {
    "image_invalid_name": "Write it as [registry/]name[:tag] in lower case.",
    "image_wrong_platform": "Use an image built for it, or ask for another `arch`.",
    "image_registry_unreachable": "Try again; check the registry's name, and the way from the engine to it.",
    "image_not_found": "Check name and tag. If it is private, the worker must be logged in to its registry.",
    "image_unauthorized": "Log the worker in to the registry (docker login), or use another image.",
    "image_pull_failed": "The engine's words are in the evidence.",
    "disk_full": "Remove images and containers from the engine, or give it a larger disk.",
}


def cause_of(text: str) -> str:
    """The verdict code for what the engine says about a pull."""
    return next((code for cause, code in CAUSES if re.search(cause, text, re.IGNORECASE)), "image_pull_failed")


def pull_verdict(code: str, image: str, arch: str | None, text: str) -> Verdict:
    summary = SUMMARIES[code].format(image=image, arch=arch or "this engine's processor")
    return Verdict(code, summary, (text,) if text else (), REMEDIES[code])
