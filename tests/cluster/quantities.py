"""Amounts as Kubernetes writes them, and what pods ask for."""

from __future__ import annotations

import re
from collections import Counter
from fractions import Fraction
from functools import cache
from typing import Any

FORM = re.compile(r"([+-]?[0-9.]+)(Ki|Mi|Gi|Ti|Pi|n|u|m|k|M|G|T|P|)(?:[eE](\d+))?")
UNITS = {
    "": Fraction(1), "n": Fraction(1, 10**9), "u": Fraction(1, 10**6), "m": Fraction(1, 1000),
    "k": Fraction(10**3), "M": Fraction(10**6), "G": Fraction(10**9), "T": Fraction(10**12), "P": Fraction(10**15),
    "Ki": Fraction(2**10), "Mi": Fraction(2**20), "Gi": Fraction(2**30), "Ti": Fraction(2**40), "Pi": Fraction(2**50),
}  # fmt: skip


def amount(text: Any) -> Fraction:
    """Raises `ValueError`."""
    return _amount(str(text))


@cache
def _amount(text: str) -> Fraction:
    match = FORM.fullmatch(text)
    if not match:
        raise ValueError("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")
    return Fraction(match[1]) * UNITS[match[2]] * Fraction(10 ** int(match[3] or 0))


def asked_by(pod: dict[str, Any], kind: str = "requests") -> Counter[str]:
    """By resource; a container without requests asks for its limits."""
    total: Counter[str] = Counter()
    for container in pod["spec"]["containers"]:
        resources = container.get("resources") or {}
        asked = {**(resources.get("limits") or {}), **(resources.get(kind) or {})}
        for name, text in asked.items():
            total[name] += amount(text)  # type: ignore[assignment]  # fractions count as well
    return total


def taken(pods: Any) -> Counter[str]:
    total: Counter[str] = Counter()
    for pod in pods:
        total["pods"] += 1
        for name, much in asked_by(pod).items():
            total[name] += much
    return total


def over(pod: dict[str, Any]) -> bool:
    return pod["status"].get("phase") in ("Succeeded", "Failed")
