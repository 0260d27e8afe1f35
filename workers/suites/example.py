"""An example job and what must be seen of it, from a TOML file. Checking is pure."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from jobs.quantities import human_bytes, to_bytes

FOLDER = Path(__file__).parent
LONGEST_SECONDS = 15.0
RISE = 1.05  # a training loss may go up a little between two epochs
PEAK_LEAST, PEAK_MOST, PEAK_SPARE = 0.9, 1.5, 64 * 1024**2  # a shell and the page cache come on top


class UnusableError(ValueError):
    """The file does not describe an example; the message says where and why."""


@dataclass(frozen=True)
class Expectation:
    """What must be seen: in the output first of all, as an exit code of 0 may mask an inner failure.

    `keys` are regular expressions that lines must match in this order; `json` is what the whole output must parse to;
    `falling` finds the number in a line that must fall over the lines; `memory_peak` is a size to be near to, or what
    `peak_line` finds in the output, in MiB: a job may see its own peak where a runtime only takes samples; 0: it can't.
    `waits`: what it may wait for instead, as `reason: detail`; seen to wait so, it is taken back, and all is well.
    """

    lines: int
    keys: Sequence[str]
    seconds: float = LONGEST_SECONDS
    least_seconds: float = 0
    json: Any = None
    falling: str | None = None
    memory_peak: str | None = None
    peak_line: str | None = None
    waits: str | None = None

    def may_wait_for(self, reason: str, detail: str) -> bool:
        return self.waits is not None and re.search(self.waits, f"{reason}: {detail}", re.IGNORECASE) is not None


@dataclass(frozen=True)
class Seen:
    """What a job did. `peak_bytes` None: the runtime told none."""

    state: str
    why: str
    output: Sequence[str]
    seconds: float | None
    peak_bytes: int | None = None


@dataclass(frozen=True)
class Example:
    name: str
    about: str
    runtimes: Sequence[str]
    spec: dict[str, Any]
    expect: Expectation = field(repr=False)


def examples(runtime: str, folder: Path = FOLDER, only: Sequence[str] = ()) -> list[Example]:
    """Those of the folder that are for the runtime, in the order of their file names. Raises UnusableError.

    A folder in it with the runtime's name has what is for that one alone.
    """
    own = folder / runtime
    found = [read(path) for path in sorted((own if own.is_dir() else folder).glob("*.toml"))]
    fitting = [example for example in found if runtime in example.runtimes]
    known = [example.name for example in fitting]
    if unknown := [name for name in only if name not in known]:
        raise UnusableError(f"no example {', '.join(unknown)} for {runtime}: choose from {', '.join(known) or 'none'}")
    return [example for example in fitting if not only or example.name in only]


def read(path: Path) -> Example:
    """`6-data.toml` is the example `data`."""
    try:
        content = tomllib.loads(path.read_text())
        # A script's first line is its interpreter, while it begins on the line after the quotes.
        spec = {key: value.lstrip("\n") if key == "script" else value for key, value in content["spec"].items()}
        name = path.stem.partition("-")[2] or path.stem
        return Example(name, content["about"], content["runtimes"], spec, Expectation(**content["expect"]))
    except (OSError, KeyError, TypeError, tomllib.TOMLDecodeError) as error:
        raise UnusableError(f"{path}: {type(error).__name__}: {error}") from error


def complaints(expect: Expectation, seen: Seen) -> list[str]:
    """What is not as it must be; empty when all is well."""
    return list(_complaints(expect, seen))


def _complaints(expect: Expectation, seen: Seen) -> Iterator[str]:
    if seen.state != "succeeded":
        yield f"is {seen.state}: {seen.why}" if seen.why else f"is {seen.state}"
    if len(seen.output) != expect.lines:
        yield f"{len(seen.output)} lines of output instead of {expect.lines}"
    if missing := _first_missing(expect.keys, seen.output):
        yield f"no line matches {missing!r} where it was due"
    if seen.seconds is not None and not expect.least_seconds <= seen.seconds <= expect.seconds:
        yield f"took {seen.seconds:.1f} s instead of {expect.least_seconds:g} to {expect.seconds:g} s"
    if expect.json is not None and not _is_json(seen.output, expect.json):
        yield "the output is not the JSON that was due"
    if expect.falling:
        yield from _not_falling(expect.falling, seen.output)
    if expect.memory_peak:
        yield from _not_near(to_bytes(expect.memory_peak), _peak(expect, seen))


def _first_missing(keys: Sequence[str], output: Sequence[str]) -> str | None:
    """The first key that no line matches behind the line of the key before it."""
    lines = iter(output)
    return next((key for key in keys if not any(re.search(key, line) for line in lines)), None)


def _is_json(output: Sequence[str], expected: Any) -> bool:
    try:
        return bool(json.loads("\n".join(output)) == expected)
    except ValueError:
        return False


def _not_falling(pattern: str, output: Sequence[str]) -> Iterator[str]:
    values = [float(match[1]) for line in output if (match := re.search(pattern, line))]
    if len(values) < 2 or values[-1] >= values[0] or any(b > a * RISE for a, b in pairwise(values)):
        yield f"the values do not fall: {values}"


def _peak(expect: Expectation, seen: Seen) -> int | None:
    if expect.peak_line is None:
        return seen.peak_bytes
    found = next((match for line in seen.output if (match := re.search(expect.peak_line, line))), None)
    return int(found[1]) * 1024**2 if found else None


def _not_near(wanted: int, peak: int | None) -> Iterator[str]:
    if peak == 0:
        return
    if peak is None or not wanted * PEAK_LEAST <= peak <= wanted * PEAK_MOST + PEAK_SPARE:
        yield f"peak memory was {human_bytes(peak)}, it had to be near {human_bytes(wanted)}"
