"""What exit codes mean that no runtime explains: the same on all of them. Pure."""

from __future__ import annotations

import signal

SIGKILLED = 128 + signal.SIGKILL


def signal_of(exit_code: int) -> str | None:
    """The signal that a shell, or a runtime, tells by 128 and its number."""
    try:
        return signal.Signals(exit_code - 128).name if exit_code > 128 else None
    except ValueError:
        return None


def remedy_of(exit_code: int) -> str:
    """Of a code that the program itself chose."""
    if exit_code in {126, 127}:
        return "Its output says more; a shell uses 127 for a command not found, 126 for one not executable."
    return "Its output says why: the program itself chose this code."
