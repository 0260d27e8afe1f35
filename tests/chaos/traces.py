"""I13: whatever was killed, the trace of each job is whole: the job's own life is in it, and nothing in it stays open."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from tests.chaos.jobs import Client, Story
from tests.stack import eventually

CLOSED_SECONDS = 60  # two rounds of who closes what was lost, and then some


def check_traces(client: Client, stories: list[Story]) -> Iterator[str]:
    left = list(stories)

    def all_whole() -> bool:
        left[:] = [story for story in left if list(_wrong_in(_trace(client, story)))]
        return not left

    with contextlib.suppress(AssertionError):
        eventually(all_whole, CLOSED_SECONDS)
    for story in left:
        yield from (f"{story.id}: I13 {text}" for text in _wrong_in(_trace(client, story)))


def _trace(client: Client, story: Story) -> list[dict[str, Any]]:
    return list(client.get(f"/jobs/{story.id}/trace/").json()["spans"])


def _wrong_in(spans: list[dict[str, Any]]) -> Iterator[str]:
    if not any(span["operation"] == "job" for span in spans):
        yield f"no life of the job among {[span['operation'] for span in spans]}"
    yield from (
        f"{span['operation']} of {span['service']} is still open" for span in spans if span["status"] == "started"
    )
