"""Kubernetes' way to write amounts: `250m`, `2Gi`, `1e3`, `12345n`. Pure."""

from __future__ import annotations

import re
from decimal import Decimal

_AMOUNT = re.compile(r"([+-]?[0-9.]+)(?:[eE]([+-]?\d+)|([numkKMGTPE]i?)?)")
_SCALES = {
    suffix: Decimal(1000) ** power for power, suffix in enumerate(("n", "u", "m", "", "k", "M", "G", "T", "P", "E"), -3)
}
_SCALES |= {f"{suffix}i": Decimal(1024) ** power for power, suffix in enumerate("KMGTPE", 1)}


def amount(text: str) -> float:
    """0 for what is none."""
    found = _AMOUNT.fullmatch(str(text).strip())
    if found is None:
        return 0.0
    number, exponent, suffix = found.groups()
    return float(
        Decimal(number) * (Decimal(10) ** int(exponent) if exponent else _SCALES.get(suffix or "", Decimal(0)))
    )
