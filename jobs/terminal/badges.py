"""States and verdicts as a coloured word. The word alone says it, the colour only helps."""

from __future__ import annotations

from rich.text import Text

COLOURS = {
    "queued": "yellow",
    "assigned": "cyan",
    "starting": "cyan",
    "running": "bold blue",
    "succeeded": "bold green",
    "failed": "bold red",
    "lost": "bold red",
    "cancelled": "magenta",
    "online": "bold green",
    "suspect": "yellow",
    "draining": "yellow",
    "offline": "dim",
}
MARKS = {"succeeded": "✓", "failed": "✗", "lost": "✗", "cancelled": "⊘", "running": "▶", "queued": "…", "online": "●"}


def badge(state: str) -> Text:
    return Text(f"{MARKS.get(state, '·')} {state}", style=COLOURS.get(state, ""))


def colour(state: str) -> str:
    return COLOURS.get(state, "")
