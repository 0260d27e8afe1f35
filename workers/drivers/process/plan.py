"""From a spec to what the shim has to run. Pure; what can never run is `Refused` here."""

from __future__ import annotations

import os
import re
from typing import Any

from jobs.verdicts import Verdict
from workers.drivers.protocol import ContainerSpec, Refused

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,199}")
ARCHES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}


def plan(spec: ContainerSpec) -> dict[str, Any]:
    """The content of `launch.json`. Image, cpus, disk, network and shared memory are not for processes: ignored."""
    _require_name(spec.name)
    _require_what_we_have(spec)
    env = {"PATH": DEFAULT_PATH, **spec.env}
    argv = [] if spec.script is not None else _argv(spec)
    _require_passable(argv, env, spec)
    return {
        "argv": argv,
        "script": None if spec.script is None else spec.script[:2] if spec.script.startswith("#!") else "",
        "stdin": spec.stdin is not None,
        "env": env,
        "working_dir": spec.working_dir,
        "user": spec.user,
        "memory_bytes": spec.memory_bytes,
        "pids": spec.pids,
    }


def own_arch() -> str:
    """In Docker's words."""
    machine = os.uname().machine
    return ARCHES.get(machine, machine)


def _argv(spec: ContainerSpec) -> list[str]:
    argv = [*(spec.entrypoint or ()), *(spec.command or ())]
    if not argv:
        raise _invalid("the process runtime has no image to take a command from", "Give the job a command or a script.")
    return argv


def _require_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise _invalid(f"{name!r} cannot be the name of a container", "Use letters, digits, '_', '.' and '-'.")


def _require_what_we_have(spec: ContainerSpec) -> None:
    """A limit that is missing is a pity; a wall that is missing would be a lie."""
    if spec.network != "bridge" or spec.read_only:
        raise _invalid("the process runtime has only the host's own network and file system", "Run it in Docker.")
    if spec.tty:
        raise _invalid("the process runtime has no terminal to give", "Leave tty out, or run it in Docker.")
    if spec.gpus:
        raise _invalid("the process runtime hands out no gpus", "Run it in Docker.")
    if any(mount.target != mount.source or mount.read_only for mount in spec.mounts):
        raise _invalid(
            "the process runtime can neither show a folder at another path nor keep a job from writing to it",
            "Give the volume's real path as its target, too, with read_only false; or run it in Docker.",
        )
    if spec.arch not in (None, own_arch()):
        raise Refused(Verdict("wrong_platform", f"The job wants {spec.arch}, this machine is {own_arch()}."))


def _require_passable(argv: list[str], env: dict[str, str], spec: ContainerSpec) -> None:
    texts = [*argv, *env, *env.values(), spec.working_dir or "", spec.user or ""]
    if any("\0" in text for text in texts):
        raise _invalid("a NUL byte in command, environment, working directory or user", "The kernel cannot pass it on.")
    if any(not key or "=" in key for key in env):
        raise _invalid("an environment variable without a name, or with '=' in it", "Rename it.")
    try:
        "".join([*texts, spec.script or "", spec.stdin or "", *spec.labels.values()]).encode()
    except UnicodeEncodeError as error:
        raise _invalid("text that cannot be encoded as UTF-8", "Look for half characters (lone surrogates).") from error


def _invalid(summary: str, remedy: str) -> Refused:
    return Refused(Verdict("invalid_spec", summary[0].upper() + summary[1:] + ".", remedy=remedy))
