"""A spec with something changed, as JSON Merge Patch (RFC 7396) changes an object. Pure; whether it is a spec is not looked at."""

from __future__ import annotations

from typing import Any


def merged(spec: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Objects are changed key by key, all else is replaced; null takes a key away, so that its default holds again."""
    made = {key: value for key, value in spec.items() if key not in changes}
    for key, value in changes.items():
        if isinstance(value, dict):
            before = spec.get(key)
            made[key] = merged(before if isinstance(before, dict) else {}, value)
        elif value is not None:
            made[key] = value
    return made
