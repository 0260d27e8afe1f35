"""Why a process job ended. Pure, from the observation alone.

`raw["cause"]` is the shim's own word for what it saw or did; without one, the exit code speaks.
"""

from __future__ import annotations

import signal

from jobs.verdicts import Verdict
from workers.drivers.protocol import Observation, Phase

REMEDIES = {
    "oom_killed": "Give the job more memory, or make it use less.",
    "disk_full": "Free space where the platform keeps its data.",
    "pids_exhausted": "Allow more processes (resources.pids), or start fewer.",
    "command_not_found": "Check the spelling, and that the machine has the program: this runtime has no images.",
    "command_not_executable": "Name an executable file: chmod +x, or run it through its interpreter.",
    "bad_working_dir": "Name a folder that exists or can be made.",
    "bad_user": "Name a user of this machine that the worker may become.",
    "wrong_platform": "Use a program built for this machine; a script needs a #! line.",
    "invalid_spec": "Shorten the command or its environment; long texts belong in stdin or a script.",
    "container_vanished": "Run it again; look for a restart of the machine, or for who killed the shim.",
    "internal_error": "Look at the machine: the evidence is its own words.",
}
ASK = "Its output may say more: the program ended itself, or another one told it to."
SUMMARIES = {
    "oom_killed": "The job used more memory than it was given.",
    "disk_full": "There was no space left on the disk.",
    "pids_exhausted": "The job had more processes than it was given.",
    "command_not_found": "The command was not found.",
    "command_not_executable": "The command could not be executed.",
    "bad_working_dir": "The working directory could not be entered.",
    "bad_user": "The job could not run as this user.",
    "wrong_platform": "The program is not one that this machine can run.",
    "invalid_spec": "The machine did not accept the command.",
    "container_vanished": "The job was lost: nobody saw its end.",
    "internal_error": "The job could not be started.",
}


def judge(seen: Observation) -> Verdict | None:
    """None for a plain success. Asking about what is not over is a mistake of the caller: ValueError."""
    if seen.phase not in (Phase.EXITED, Phase.GONE):
        raise ValueError(f"{seen.handle.name} is {seen.phase}, not over")
    cause = _cause(seen)
    if cause:
        said = f" {seen.error[:1].upper()}{seen.error[1:]}." if seen.error else ""
        return Verdict(cause, SUMMARIES[cause] + said, _evidence(seen), REMEDIES[cause])
    if seen.exit_code == 0:
        return None
    return _by_exit_code(seen, seen.exit_code or 0)


def _cause(seen: Observation) -> str:
    if seen.oom_killed:
        return "oom_killed"
    if seen.exit_code is None:
        return "container_vanished"
    cause = str(seen.raw.get("cause") or "")
    return cause if not cause or cause in SUMMARIES else "internal_error"


def _by_exit_code(seen: Observation, code: int) -> Verdict:
    name = _signal_name(code - 128)
    if name:
        return Verdict(
            "killed_by_signal", f"The command was killed by {name} (exit code {code}).", _evidence(seen), ASK
        )
    return Verdict(
        "exit_code",
        f"The command ended with exit code {code}.",
        _evidence(seen),
        "Its output says why: the program itself chose this code.",
    )


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return ""


def _evidence(seen: Observation) -> tuple[str, ...]:
    facts = {
        "exit_code": seen.exit_code,
        "signal": seen.raw.get("signal"),
        "memory_peak_bytes": seen.raw.get("memory_peak_bytes"),
    }
    known = tuple(f"{key}: {value}" for key, value in facts.items() if value is not None)
    return (seen.error, *known) if seen.error else known
