"""The files that are generated, and what makes each. `manage.py document` writes them, with --check it compares.

Every maker is a function without arguments that answers the whole file, the same on every machine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from towline.settings.environment import REPOSITORY

from .layers import layers_page
from .openapi import openapi_document
from .rbac_manifest import rbac_manifest
from .settings_table import settings_page
from .state_diagrams import states_page
from .verdict_table import verdicts_page

DOCUMENTS: Mapping[str, Callable[[], str]] = {
    "platform/towline/openapi.json": openapi_document,
    "docs/settings.md": settings_page,
    "docs/states.md": states_page,
    "docs/layers.md": layers_page,
    "docs/verdicts.md": verdicts_page,
    "charts/rbac.yaml": rbac_manifest,
}


def write_documents(root: Path = REPOSITORY) -> list[str]:
    """Write what is stale; answers its paths."""
    stale = stale_documents(root)
    for name in stale:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(DOCUMENTS[name](), encoding="utf-8")
    return stale


def stale_documents(root: Path = REPOSITORY) -> list[str]:
    """Paths, relative to the repository, of files that are missing or not as their maker would write them now."""
    return [name for name, make in DOCUMENTS.items() if _content(root / name) != make()]


def _content(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None
