"""Is this an image reference? Docker's own grammar, and what it lets through that surprises users."""

from __future__ import annotations

import re

from docker_image import reference

_ID_PREFIX = re.compile(r"[0-9a-f]{1,64}")
_HOST = re.compile(r"[.:]")


def check_image(text: str) -> str:
    """The reference unchanged; ValueError says what is wrong with it."""
    if not text or len(text) > 512 or re.search(r"\s", text):
        raise ValueError("an image reference has 1 to 512 characters and no white space")
    if _ID_PREFIX.fullmatch(text):
        # The engine would resolve it as the beginning of an image id, whichever that is.
        raise ValueError(f"{text!r} could be the beginning of an image id: write {text}:latest if it is a name")
    try:
        reference.Reference.parse_normalized_named(text)
    except reference.InvalidReference as error:
        raise ValueError(
            f"{text[:80]!r} is no image reference; write it like busybox:1.36 or host:5000/tool"
        ) from error
    first, slash, _ = text.partition("/")
    if slash and first != first.lower() and not _HOST.search(first):
        raise ValueError(f"{text[:80]!r} is no image reference: a repository name is lower case")
    return text
