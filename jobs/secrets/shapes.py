"""The shapes in which a secret's value may show up in output: as it is, and as common encoders write it. Pure.

As it is, in base64 (standard and URL-safe, wherever in the encoded text it stands, also broken into lines),
percent-encoded, and escaped as in JSON. Of a value of several lines also each line.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

SHORTEST_VALUE = 2  # characters, without white space around them: one would mask the log away
SHORTEST_SHAPE = 4  # bytes of an encoded shape, or of one line of several: less is too common a word
UNBROKEN = 4  # characters of base64 stand on one line before it goes on in the next
# What encoders leave as it is besides letters, digits and `_.-~`: all, paths, JavaScript's encodeURIComponent and encodeURI.
LEFT_BY_ENCODERS = ("", "/", "!'()*", ";,/?:@&=+$!*'()#")
URL_SAFE = bytes.maketrans(b"+/", b"-_")


def is_masked(value: str) -> bool:
    """Whether a secret of this value is masked in output at all."""
    return len(value.strip()) >= SHORTEST_VALUE


def plain_shapes(value: str) -> set[bytes]:
    """Everything to be masked for this value as it stands; nothing for one that is too short."""
    if not is_masked(value):
        return set()
    derived = {*_as_json(value), *_in_a_url(value), *_lines(value)}
    return {value.encode(), value.strip().encode(), *(shape for shape in derived if len(shape) >= SHORTEST_SHAPE)}


def base64_shapes(value: str) -> set[bytes]:
    """What its base64 has in it, however it is broken into lines. Without the beginning too, should that be on a line before."""
    if not is_masked(value):
        return set()
    data = value.encode()
    whole = b64encode(data)
    standard = {whole, whole.rstrip(b"="), *(_inside(data, before) for before in range(3))}
    standard |= {shape[cut:] for shape in standard for cut in range(1, UNBROKEN) if len(shape) > 2 * UNBROKEN}
    known = {shape for shape in standard if len(shape) >= SHORTEST_SHAPE}
    return known | {shape.translate(URL_SAFE) for shape in known}


def _lines(value: str) -> Iterator[bytes]:
    lines = [line.strip() for line in re.split("[\\r\\n]+", value)]
    if lines != [value]:
        for line in lines:
            yield line.encode()
            yield from _as_json(line)


def _as_json(value: str) -> Iterator[bytes]:
    """As Python, JavaScript, PHP (which escapes slashes) and Go (which escapes what is special in HTML) write strings."""
    for plain in (json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]):
        yield plain.encode()
        yield plain.replace("/", r"\/").encode()
        yield re.sub("[<>&]", lambda found: f"\\u{ord(found[0]):04x}", plain).encode()


def _in_a_url(value: str) -> Iterator[bytes]:
    written = {quote(value, safe=left) for left in LEFT_BY_ENCODERS}
    written |= {quote_plus(value), quote_plus(value, safe="*").replace("~", "%7E")}  # forms: Python's, browsers'
    for text in written:
        yield text.encode()
        yield re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), text).encode()


def _inside(value: bytes, before: int) -> bytes:
    """The characters that `value` alone decides when so many bytes (modulo 3) stand before it, and anything behind."""
    encoded = b64encode(bytes(before) + value)
    first = (0, 2, 3)[before]  # those before have bits of what stands there
    last = (before + len(value)) * 8 // 6
    return encoded[first:last]
