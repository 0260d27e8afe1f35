"""Why a container ended, and why one was refused: verdicts from what the engine said. Pure.

Docker's HTTP status of a failed start varies (400, 404, 500), so only its words and its exit code count. Under an init
process a command that cannot be executed shows as an exit with 126 or 127 and a line of the init's, see `FATAL_INIT`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from jobs.verdicts import Verdict
from workers.drivers.docker.request import SCRIPT
from workers.drivers.exit_codes import SIGKILLED, remedy_of, signal_of
from workers.drivers.protocol import Observation, Phase

FATAL_INIT = "[FATAL tini ("

# What the engine says → (code, remedy). The first that matches wins.
REASONS: tuple[tuple[str, str, str], ...] = (
    (
        r"exec format error",
        "wrong_platform",
        "The program was built for another processor. Ask for its `arch`, or use an image built for this one.",
    ),
    (
        r"unable to find (user|group)|no matching entries in (passwd|group) file|invalid user",
        "bad_user",
        "Use a user that the image's /etc/passwd knows, or a numeric id such as 1000:1000.",
    ),
    (
        r"no space left on device",
        "disk_full",
        "The engine's disk is full, or the container's quota is used up: free some space or ask for more `disk`.",
    ),
    (
        r"could not select device driver|nvidia-container-cli|unknown or invalid runtime name: nvidia",
        "unschedulable",
        "Run it where an engine offers GPUs, or ask for none.",
    ),
    (
        r"chdir to cwd|working directory|cannot mkdir|mkdir .*(not a directory|read-only)|/merged/.*not a directory",
        "bad_working_dir",
        "Use an absolute `working_dir` that is a folder, or that can be made, and that the user may enter.",
    ),
    (
        r"no such file or directory|executable file not found|not found in \$PATH",
        "command_not_found",
        "",
    ),
    (r"permission denied|is a directory", "command_not_executable", ""),
    (
        r"network \S+ not found|cannot (join|attach)|invalid argument|contain null",
        "invalid_spec",
        "Correct the job's spec.",
    ),
)

SUMMARIES: Mapping[str, str] = {
    "wrong_platform": "The command `{command}` is not for this processor.",
    "bad_user": "The user `{user}` does not exist in the image.",
    "bad_working_dir": "The working directory `{working_dir}` cannot be used.",
    "command_not_found": "The command `{command}` was not found.",
    "command_not_executable": "The command `{command}` cannot be executed.",
    "disk_full": "There was no space left on the engine's disk.",
    "unschedulable": "This engine cannot give the container a GPU.",
    "invalid_spec": "The engine cannot start the container as it was asked for.",
    "internal_error": "The engine could not start the container.",
}

COMMAND_REMEDIES: Mapping[str, str] = {
    "command_not_found": "Check the spelling and that the image contains it; give a path or a program on its PATH.",
    "command_not_executable": "Make it a file with the executable bit that this user may run (chmod +x).",
}
SCRIPT_REMEDY = "The interpreter in the script's first line must exist in the image; check for Windows line ends too."


def judge(seen: Observation) -> Verdict | None:
    """Why an exited container ended; None for a plain success. `container_vanished` for one that is gone."""
    if seen.phase is Phase.GONE:
        return Verdict(
            "container_vanished",
            "The container is no longer on the engine.",
            (f"id: {seen.handle.uid}",),
            "Run it again.",
        )
    if seen.phase is not Phase.EXITED:
        raise ValueError(f"the container has not ended: {seen.phase}")
    if seen.error:
        return _not_started(seen)
    if seen.exit_code == 0:
        return None
    if seen.oom_killed:
        return _out_of_memory(seen)
    if "EngineStarted" in seen.raw:
        return _taken_along(seen)
    return _by_exit_code(seen)


def reason_of(text: str) -> tuple[str, str] | None:
    """The code and the remedy for a sentence of the engine's about a container that cannot start, if we know it."""
    for pattern, code, remedy in REASONS:
        if re.search(pattern, text, re.IGNORECASE):
            return code, remedy
    return None


def _not_started(seen: Observation) -> Verdict:
    code, remedy = reason_of(seen.error) or ("internal_error", "Try again; if it stays, look at the engine's log.")
    if seen.error.startswith(FATAL_INIT) and seen.raw.get("ImageArchitecture") != seen.raw.get("EngineArchitecture"):
        code, remedy = reason_of("exec format error") or (code, remedy)
    return Verdict(
        code,
        SUMMARIES[code].format(**_words(seen)),
        (seen.error, *_facts(seen)),
        remedy or _command_remedy(code, seen),
    )


def _out_of_memory(seen: Observation) -> Verdict:
    """Docker's flag is also set when only a child was killed: the main process then has its own exit code."""
    limit = _bytes((seen.raw.get("HostConfig") or {}).get("Memory"))
    remedy = "Ask for more `memory`, or make the program use less."
    if seen.exit_code == SIGKILLED:
        return Verdict("oom_killed", f"The container ran out of memory (limit {limit}).", _facts(seen), remedy)
    summary = f"A process ran out of memory (limit {limit}); the main one then ended with exit code {seen.exit_code}."
    return Verdict("oom_child", summary, _facts(seen), remedy)


def _taken_along(seen: Observation) -> Verdict:
    return Verdict(
        "engine_unavailable",
        "The engine was stopped while the job ran, and ended its container.",
        (f"the engine was started again: {seen.raw['EngineStarted']}", *_facts(seen)),
        "Set `live-restore` in the engine's daemon.json: containers then outlive it. A retry on `platform` runs it again.",
    )


def _by_exit_code(seen: Observation) -> Verdict:
    code = seen.exit_code
    if code is None:
        return Verdict("internal_error", "The engine gave no exit code.", _facts(seen))
    if (name := signal_of(code)) is not None:
        return Verdict("killed_by_signal", f"The container was ended by {name}.", _facts(seen), _signal_remedy(name))
    return Verdict("exit_code", f"The command ended with exit code {code}.", _facts(seen), remedy_of(code))


def _signal_remedy(name: str) -> str:
    if name != "SIGKILL":
        return "Its output may say more: the program ended itself, or another one told it to."
    return "Nothing here says who killed it: someone on the host, a restart of the engine, or the program itself."


def _command_remedy(code: str, seen: Observation) -> str:
    return SCRIPT_REMEDY if seen.raw.get("Path") == SCRIPT else COMMAND_REMEDIES.get(code, "")


def _words(seen: Observation) -> dict[str, Any]:
    config = seen.raw.get("Config") or {}
    return {
        "command": seen.raw.get("Path") or "?",
        "user": config.get("User") or "root",
        "working_dir": config.get("WorkingDir") or "/",
    }


def _facts(seen: Observation) -> tuple[str, ...]:
    state = seen.raw.get("State") or {}
    known = [f"exit code: {seen.exit_code}", f"OOMKilled: {seen.oom_killed}"]
    known += [f"{key}: {state[key]}" for key in ("Status", "StartedAt", "FinishedAt") if state.get(key)]
    known += [f"{key}: {seen.raw[key]}" for key in ("ImageArchitecture", "EngineArchitecture") if key in seen.raw]
    if "EngineSignals" in seen.raw:
        known.append(f"the engine was asked to send it signal {seen.raw['EngineSignals']}")
    return tuple(known)


def _bytes(count: int | None) -> str:
    return f"{count / 1024**2:.0f} MiB" if count else "unknown"
