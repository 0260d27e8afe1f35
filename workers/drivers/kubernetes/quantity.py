"""Kubernetes' way to write amounts: `250m`, `2Gi`, `1e3`, `12345n`. Pure."""

from __future__ import annotations

import re
from decimal import Decimal

_QUANTITY = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:[eE]([+-]?\d{1,3})|([numkMGTPE]|[KMGTPE]i)?)", re.ASCII)
_SCALES = {
    suffix: Decimal(1000) ** power for power, suffix in enumerate(("n", "u", "m", "", "k", "M", "G", "T", "P", "E"), -3)
}
_SCALES |= {f"{suffix}i": Decimal(1024) ** power for power, suffix in enumerate("KMGTPE", 1)}


def quantity(text: object) -> Decimal | None:
    """None for what is none."""
    found = _QUANTITY.fullmatch(str(text).strip())
    if found is None:
        return None
    number, exponent, suffix = found.groups()
    return Decimal(number) * (Decimal(10) ** int(exponent) if exponent else _SCALES[suffix or ""])


def amount(text: object) -> float:
    """0 for what is none."""
    return float(quantity(text) or 0)


def in_bytes(count: int) -> str:
    """As people write it, where that is exact: 268435456 is `256Mi`. Whoever reads a pod or a quota sees these words."""
    suffix = ""
    for larger in ("Ki", "Mi", "Gi"):
        if count == 0 or count % 1024:
            break
        count, suffix = count // 1024, larger
    return f"{count}{suffix}"
