"""Figures in one Markdown file, each run's in a section of its own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path


def put(file: Path, heading: str, lines: Sequence[str]) -> None:
    """Under `# heading`, in the place of what was there; the other sections stay."""
    text = file.read_text() if file.exists() else ""
    section = "\n".join([f"# {heading}", "", *lines]) + "\n"
    parts = re.split(r"(?m)^(?=# )", text)
    kept = [section if part.startswith(f"# {heading}\n") else part for part in parts if part.strip()]
    if section not in kept:
        kept.append(section)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(part.rstrip("\n") + "\n" for part in kept))
