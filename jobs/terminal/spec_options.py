"""The options of `submit`, and how they and a spec file become the body that REST would get."""

from __future__ import annotations

import json
import os
import sys
from argparse import ArgumentParser
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from .command import USAGE

# option → (field of the spec, type, help)
PLAIN: dict[str, tuple[str, type, str]] = {
    "--name": ("name", str, "how lists show it"),
    "--project": ("project", str, "default: default"),
    "--runtime": ("runtime", str, "docker, kubernetes or process; default: any"),
    "--arch": ("arch", str, "amd64, arm64 …"),
    "--region": ("region", str, "run only there"),
    "--cpus": ("resources.cpus", float, "may be a fraction; default 1"),
    "--memory": ("resources.memory", str, "bytes, or like 512Mi; default 512Mi"),
    "--disk": ("resources.disk", str, "bytes, or like 10Gi"),
    "--gpus": ("resources.gpus", int, "default 0"),
    "--pids": ("resources.pids", int, "processes and threads at most; default 512"),
    "--shm": ("resources.shm", str, "size of /dev/shm; default 64Mi"),
    "--timeout": ("timeouts.run", float, "seconds it may run; default 3600"),
    "--start-timeout": ("timeouts.start", float, "seconds from assignment to start, pull included; default 600"),
    "--queue-timeout": ("timeouts.queue", float, "seconds it may wait"),
    "--idle-timeout": ("timeouts.idle", float, "seconds without output"),
    "--grace": ("timeouts.grace", float, "seconds between TERM and KILL; default 10"),
    "--max-attempts": ("retry.max_attempts", int, "tries in all; default 1"),
    "--memory-factor": ("retry.memory_factor", float, "after running out of memory: so much more; default 1"),
    "--backoff": ("retry.backoff", float, "seconds before the first retry, then more; default 5"),
    "--concurrency-key": ("concurrency.key", str, "with this key, one job of the project at a time"),
    "--concurrency-limit": ("concurrency.limit", int, "or so many at a time"),
    "--priority": ("priority", int, "-1000 to 1000, higher goes first"),
    "--run-at": ("run_at", str, "not before, like 2030-01-31T08:00:00Z"),
    "--network": ("network", str, "bridge, none or a named one"),
    "--user": ("user", str, "user[:group] in the container"),
    "--working-dir": ("working_dir", str, "absolute path in the container"),
}
PAIRS = {"--env": "env", "--label": "labels", "--require": "requires"}


def add_spec_options(parser: ArgumentParser) -> None:
    group = parser.add_argument_group("the job")
    for option, (field, kind, text) in PLAIN.items():
        metavar = {int: "N", float: "N", str: option[2:].upper()}[kind]
        group.add_argument(option, dest=field, type=kind, metavar=metavar, help=text)
    group.add_argument("--env", dest="env", action="append", metavar="K=V", help="K alone: its value here; repeatable")
    group.add_argument("--env-file", metavar="FILE", help="lines of K=V; --env overrides")
    group.add_argument(
        "--secret", dest="secrets", action="append", metavar="NAME[=ENV]", help="the project's, as ENV; repeatable"
    )
    group.add_argument("--label", dest="labels", action="append", metavar="K=V", help="a label of yours; repeatable")
    group.add_argument("--require", dest="requires", action="append", metavar="K=V", help="worker's label; repeatable")
    group.add_argument(
        "--after", dest="after", action="append", metavar="ID", help="start when that job succeeded; repeatable"
    )
    group.add_argument("--retries", type=int, metavar="N", help="tries after the first; same as --max-attempts N+1")
    group.add_argument("--retry-on", dest="retry.on", action="append", metavar="CODE", help="or a kind; repeatable")
    group.add_argument(
        "--volume", dest="volumes", action="append", metavar="SRC:DST[:rw]", help="a folder that is allowed; repeatable"
    )
    group.add_argument("--read-only", action="store_true", default=None, help="nothing but /tmp can be written")
    group.add_argument("--tty", action="store_true", default=None, help="give it a terminal: colours, progress bars")
    group.add_argument("--entrypoint", metavar="PROGRAM", help="instead of the image's own")
    group.add_argument("--script", metavar="FILE", help="run this file in the container instead of a command")
    group.add_argument("--stdin", metavar="FILE", help="its text is the job's input; - is this command's own")
    group.add_argument("--spec", metavar="FILE", help="a whole spec as JSON, as for REST; options override; - is stdin")


def body_of(image: str | None, command: list[str], options: Mapping[str, Any]) -> dict[str, Any]:
    """The unchecked body. CommandError (2) for what is wrong with an option itself."""
    body = _spec_file(options["spec"])
    if image is not None:
        body["image"] = image
    if command:
        body["command"] = command
    for field, _, _ in PLAIN.values():
        _put(body, field, options[field])
    _put(body, "retry.on", options["retry.on"])
    _put(body, "after", options["after"])
    _put(body, "read_only", options["read_only"])
    _put(body, "tty", options["tty"])
    _put(body, "volumes", options["volumes"])
    _put(body, "secrets", options["secrets"] and [_secret(text) for text in options["secrets"]])
    _put_pairs(body, options)
    _put_texts(body, options)
    _put_retries(body, options)
    return body


def _spec_file(name: str | None) -> dict[str, Any]:
    if name is None:
        return {}
    try:
        body = json.loads(_text_of(name, "--spec"))
    except ValueError as error:
        raise CommandError(f"--spec: {name} is not valid JSON: {error}", returncode=USAGE) from error
    if not isinstance(body, dict):
        raise CommandError(f"--spec: {name} must hold a JSON object", returncode=USAGE)
    return body


def _put(body: dict[str, Any], field: str, value: Any) -> None:
    """Set `a.b` in `{"a": {"b": …}}` unless the option was left out."""
    if value is None:
        return
    *outer, last = field.split(".")
    for name in outer:
        inner = body.setdefault(name, {})
        if not isinstance(inner, dict):
            raise CommandError(f"--spec: {name} must be an object", returncode=USAGE)
        body = inner
    body[last] = value


def _put_pairs(body: dict[str, Any], options: Mapping[str, Any]) -> None:
    if options["env_file"]:
        lines = _text_of(options["env_file"], "--env-file").splitlines()
        wanted = [line for line in map(str.strip, lines) if line and not line.startswith("#")]
        _add(body, "env", _pairs(wanted, "--env-file"))
    for option, field in PAIRS.items():
        if options[field]:
            _add(body, field, _pairs(options[field], option))


def _add(body: dict[str, Any], field: str, pairs: dict[str, str]) -> None:
    for key, value in pairs.items():
        inner = body.setdefault(field, {})
        if isinstance(inner, dict):
            inner[key] = value


def _pairs(texts: Iterable[str], option: str) -> dict[str, str]:
    found = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            value = _from_here(key, option)
        found[key] = value
    return found


def _from_here(key: str, option: str) -> str:
    """`--env HOME`, as other tools have it: the value that it has here."""
    if option == "--env" and key in os.environ:
        return os.environ[key]
    raise CommandError(f"{option} {key}: write it as {key}=VALUE", returncode=USAGE)


def _secret(text: str) -> Any:
    name, equals, variable = text.partition("=")
    return {"name": name, "env": variable} if equals else name


def _put_texts(body: dict[str, Any], options: Mapping[str, Any]) -> None:
    if options["entrypoint"] is not None:
        body["entrypoint"] = [options["entrypoint"]]
    for field in ("script", "stdin"):
        if options[field] is not None:
            body[field] = _text_of(options[field], f"--{field}")


def _put_retries(body: dict[str, Any], options: Mapping[str, Any]) -> None:
    if options["retries"] is None:
        return
    if options["retry.max_attempts"] is not None:
        raise CommandError("give --retries or --max-attempts, not both", returncode=USAGE)
    _put(body, "retry.max_attempts", options["retries"] + 1)


def _text_of(name: str, option: str) -> str:
    try:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        return data.decode()
    except OSError as error:
        raise CommandError(f"{option}: can't read {name}: {error.strerror}", returncode=USAGE) from error
    except UnicodeDecodeError as error:
        raise CommandError(f"{option}: {name} is not UTF-8 text", returncode=USAGE) from error


__all__ = ["add_spec_options", "body_of"]
