"""Whether any worker could ever run a job: `jobs` asks, whoever knows the workers answers. Nobody asked yet: no answer."""

from __future__ import annotations

from collections.abc import Callable

from .needs import Needs

Outlook = Callable[[Needs], tuple[str, str] | None]

_outlook: Outlook = lambda needs: None  # noqa: E731 - the answer of a house without workers


def install(outlook: Outlook) -> None:
    global _outlook
    _outlook = outlook


def outlook(needs: Needs) -> tuple[str, str] | None:
    """Why no registered worker could ever run it, as (waiting reason, sentence); None when one could."""
    return _outlook(needs)
