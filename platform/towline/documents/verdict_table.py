"""docs/verdicts.md, from the codes."""

from __future__ import annotations

from jobs.verdicts import ACTORS, CODES, Kind, Verdict

from .markdown import page, table

INTRODUCTION = (
    "Every attempt that did not succeed has a verdict: `{code, kind, summary, evidence, remedy, retryable}`. The code is "
    "stable and the same on every runtime; the kind says who has to act; the evidence is what the runtime itself said. "
    "`retry.on` of a job takes codes and kinds. Retryable: the same job may well succeed when it is run again unchanged."
)


def verdicts_page() -> str:
    parts = [part for kind in CODES for part in (f"## {kind.value}", f"{ACTORS[kind]}", _codes(kind))]
    return page("Verdicts", "jobs/verdicts.py", INTRODUCTION, *parts)


def _codes(kind: Kind) -> str:
    rows = [
        (f"`{code}`", meaning, "yes" if Verdict(code, "").retryable else "no") for code, meaning in CODES[kind].items()
    ]
    return table(("Code", "Meaning", "Retryable"), rows)
