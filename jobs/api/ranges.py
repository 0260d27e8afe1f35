"""HTTP ranges of bytes (RFC 9110, 14). Pure."""

from __future__ import annotations

import re

from rest_framework.exceptions import APIException


class NoSuchRange(APIException):
    status_code = 416

    def __init__(self, size: int) -> None:
        super().__init__(f"The log has {size} bytes, the range lies behind them: ask for bytes=0-{max(0, size - 1)}.")


def asked_range(header: str | None, size: int) -> tuple[int, int] | None:
    """(first byte, how many) of the one range that is asked for; None: all of it, which also answers what is not understood.

    Raises `NoSuchRange`.
    """
    found = re.fullmatch(r"bytes=(\d{0,18})-(\d{0,18})", (header or "").replace(" ", ""), re.ASCII)
    if not found or not (found[1] or found[2]):
        return None
    if not found[1]:  # the last so many
        count = min(int(found[2]), size)
        first = size - count
    else:
        first = int(found[1])
        if found[2] and int(found[2]) < first:
            return None
        count = min(int(found[2]) if found[2] else size, size - 1) - first + 1
    if count <= 0:
        raise NoSuchRange(size)
    return first, count
