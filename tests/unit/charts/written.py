"""What the chart's tests compare with files: the rendering of two sets of values, and the README's table.

`SNAPSHOTS=write` writes them instead: `make chart SNAPSHOTS=write`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from .rendering import CHART

MARK = re.compile(r"(?s)(<!-- values: .*? -->\n).*?(<!-- end of values -->)")


def matches(path: Path, text: str) -> bool:
    """Whether the file says this; after SNAPSHOTS=write it does."""
    if os.environ.get("SNAPSHOTS") == "write":
        path.write_text(text, encoding="utf-8")
    return path.exists() and path.read_text(encoding="utf-8") == text


def readme() -> str:
    """README.md with its table as values.yaml has it."""
    rows = [f"| `{path}` | `{shown(value)}` | {meaning} |" for path, value, meaning in described()]
    table = "\n".join(["", "| Value | Default | Meaning |", "| --- | --- | --- |", *rows, "", ""])
    text = (CHART / "README.md").read_text(encoding="utf-8")
    return MARK.sub(lambda found: found[1] + table + found[2], text)


def shown(value: Any) -> str:
    if isinstance(value, str):
        return value or '""'
    return str(yaml.safe_dump(value, default_flow_style=True, width=1000)).removesuffix("...\n").strip()


def described() -> Iterator[tuple[str, Any, str]]:
    """Path, default and meaning of each value that has a `# --` above it."""
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    above: list[str] = []
    parents: list[str] = []
    for line in (CHART / "values.yaml").read_text(encoding="utf-8").splitlines():
        if found := re.fullmatch(r"( *)([A-Za-z0-9]+):.*", line):
            parents[len(found[1]) // 2 :] = [found[2]]
            if above:
                yield ".".join(parents), within(values, parents), " ".join(above).replace("|", "\\|")
            above = []
        elif line.strip().startswith("# -- "):
            above = [line.strip().removeprefix("# -- ")]


def within(values: Any, path: list[str]) -> Any:
    for key in path:
        values = values[key]
    return values


def leaves(values: Any, path: tuple[str, ...] = ()) -> Iterator[str]:
    """Where values lie that are no mapping, or an empty one."""
    if isinstance(values, dict) and values:
        for key, value in values.items():
            yield from leaves(value, (*path, key))
    else:
        yield ".".join(path)
