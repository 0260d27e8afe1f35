"""Memory and disk as people write them. One grammar, Kubernetes' own: whole bytes, or a number with a suffix.

`Ki Mi Gi Ti` are powers of 1024, `k M G T` powers of 1000.
"""

from __future__ import annotations

import re

MIB = 1024**2
_SUFFIX = {
    "": 1, "k": 1000, "M": 1000**2, "G": 1000**3, "T": 1000**4,
    "Ki": 1024, "Mi": MIB, "Gi": 1024**3, "Ti": 1024**4,
}  # fmt: skip
_QUANTITY = re.compile(r"(\d{1,19}(?:\.\d{1,6})?)(|k|M|G|T|Ki|Mi|Gi|Ti)", re.ASCII)


def to_bytes(quantity: int | str) -> int:
    """Bytes of `268435456`, `"256Mi"`, `"1.5G"`. ValueError says the grammar."""
    if isinstance(quantity, int):
        return quantity
    match = _QUANTITY.fullmatch(quantity)
    if not match:
        raise ValueError("write whole bytes, or a number with one of Ki, Mi, Gi, Ti, k, M, G, T: 268435456 or '256Mi'")
    return int(float(match[1]) * _SUFFIX[match[2]])


def human_bytes(count: int | None) -> str:
    """1536 → `1.5 KiB`; for people only."""
    if count is None:
        return "–"
    size = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 100 else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"
