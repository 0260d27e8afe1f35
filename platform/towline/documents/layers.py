"""docs/layers.md: who may import whom, from the contracts that import-linter holds."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from towline.settings.environment import REPOSITORY

from .markdown import mermaid, page

INTRODUCTION = (
    "`lint-imports` (part of `make check`) holds these contracts. `jobs` hands work to `workers` by the names of Celery "
    "tasks, so the arrow never turns back."
)


def layers_page() -> str:
    parts = [part for contract in _contracts() for part in (f"## {contract['name']}", _shown(contract))]
    return page("Layers", "pyproject.toml", INTRODUCTION, *parts)


def _contracts() -> list[dict[str, Any]]:
    settings = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    contracts: list[dict[str, Any]] = settings["tool"]["importlinter"]["contracts"]
    return contracts


def _shown(contract: dict[str, Any]) -> str:
    return {"layers": _layers, "forbidden": _forbidden, "independence": _independence}[contract["type"]](contract)


def _layers(contract: dict[str, Any]) -> str:
    return mermaid(["graph LR", *_arrows(contract["layers"])])


def _arrows(layers: list[str]) -> Iterator[str]:
    for upper, lower in pairwise(layers):
        yield f"    {upper} --> {lower}"


def _forbidden(contract: dict[str, Any]) -> str:
    return f"{_names(contract['source_modules'])} must not import {_names(contract['forbidden_modules'])}."


def _independence(contract: dict[str, Any]) -> str:
    return f"{_names(contract['modules'])} must not import one another."


def _names(modules: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in modules)
