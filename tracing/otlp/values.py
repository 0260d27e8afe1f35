"""OpenTelemetry's values as JSON that any database takes, and of a bounded size. Pure."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Iterable
from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

ATTRIBUTES = 128  # of a span, an event, a link, a resource: what OpenTelemetry's SDKs keep, too
ITEMS = 128
TEXT = 8000
KEY = 200
DEPTH = 8


class Values:
    """`hide` masks what must not be kept; it is asked before anything is cut, so that no half of it is left."""

    def __init__(self, hide: Callable[[str], str]) -> None:
        self._hide = hide

    def text(self, text: str, most: int = TEXT) -> str:
        """PostgreSQL keeps no NUL."""
        return self._hide(text).replace("\x00", "\ufffd")[:most]

    def attributes(self, found: Iterable[KeyValue]) -> dict[str, Any]:
        """The first of them. Of a key that is there twice, the last."""
        kept: dict[str, Any] = {}
        for each in found:
            if len(kept) >= ATTRIBUTES:
                break
            kept[self.text(each.key, KEY)] = self.value(each.value)
        return kept

    def value(self, given: AnyValue, depth: int = 1) -> Any:
        kind = given.WhichOneof("value")
        if kind in ("array_value", "kvlist_value") and depth >= DEPTH:
            return "…"
        if kind == "array_value":
            return [self.value(each, depth + 1) for each in given.array_value.values[:ITEMS]]
        if kind == "kvlist_value":
            return {
                self.text(each.key, KEY): self.value(each.value, depth + 1)
                for each in given.kvlist_value.values[:ITEMS]
            }
        return self._plain(getattr(given, kind)) if kind else None

    def _plain(self, value: Any) -> Any:
        if isinstance(value, bytes):
            return self.text(base64.b64encode(value).decode())
        if isinstance(value, float) and not math.isfinite(value):
            return str(value)  # JSON has no such number
        return self.text(value) if isinstance(value, str) else value
