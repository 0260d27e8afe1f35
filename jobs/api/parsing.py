"""JSON bodies, strictly: what JSON itself leaves open (NaN, a key twice, endless nesting) is refused with a reason."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import IO, Any

from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import JSONParser
from rest_framework.request import Request

BODY_BYTES = 2 * 1024 * 1024
DEPTH = 32


class BodyTooLarge(APIException):
    status_code = 413
    default_detail = f"The body has more than {BODY_BYTES} bytes."
    default_code = "body_too_large"


class StrictJSONParser(JSONParser):
    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        body = stream.read(BODY_BYTES + 1)
        if len(body) > BODY_BYTES:
            raise BodyTooLarge
        try:
            data = json.loads(body.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_constant)
            _check_depth(data)
        except (ValueError, RecursionError) as error:
            raise ParseError(f"The body is not valid JSON: {error}") from error
        return data


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"key {key[:80]!r} is there twice")
        found[key] = value
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _check_depth(data: Any) -> None:
    level = [data]
    for _ in range(DEPTH + 1):
        if not level:
            return
        level = [
            inner
            for value in level
            if isinstance(value, dict | list)
            for inner in (value.values() if isinstance(value, dict) else value)
        ]
    raise ValueError(f"nested deeper than {DEPTH}")


def json_object(request: Request) -> dict[str, Any]:
    """The body as an object; the answer names the mistake otherwise."""
    if not isinstance(request.data, dict):
        raise ParseError("The body must be a JSON object.")
    return request.data
