"""`manage.py secret set|list|delete|rekey`: secrets of projects. A value comes by stdin or a file, never as an argument."""

from __future__ import annotations

import re
import sys
from argparse import ArgumentParser
from getpass import getpass
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError
from django.db.models import QuerySet
from pydantic import SecretStr
from rich.table import Column

from jobs.api.secrets import SecretSerializer
from jobs.models import Project, Secret
from jobs.secrets import keeping
from jobs.secrets.references import NAME, NAME_SAYS
from jobs.secrets.sealing import Unreadable
from jobs.secrets.values import LONGEST_BYTES, check_value
from jobs.terminal.command import USAGE, TerminalCommand
from jobs.terminal.tables import new_table

ACTIONS = ("set", "list", "delete", "rekey")


class Command(TerminalCommand):
    help = """\
Secrets of projects: their jobs name them in `secrets`, and have them in their environment. `set` makes
one or replaces its value, read from stdin (without the newline at its end) or from a file, which is taken
as it is. Nothing shows a value again. `rekey` encrypts all under the TOWLINE_SECRET_KEY of now."""
    examples = """
manage.py secret set API_KEY < key.txt
pass show db | manage.py secret set DB_PASSWORD --project ml
manage.py secret set TLS_KEY --from-file key.pem
manage.py secret list --project ml --json
manage.py secret delete API_KEY
"""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("action", choices=ACTIONS, metavar="ACTION", help=", ".join(ACTIONS))
        parser.add_argument("name", nargs="?", metavar="NAME", help="of the secret, for set and delete")
        parser.add_argument("--project", help="default: default; list: all")
        parser.add_argument("--from-file", metavar="FILE", help="set: its text, as it is")

    def handle(self, *args: Any, action: str, **options: Any) -> None:
        name = options["name"]
        if (action in ("set", "delete")) != (name is not None):
            raise CommandError(f"{action}: {'takes no name' if name else 'name the secret'}", returncode=USAGE)
        if options["from_file"] is not None and action != "set":
            raise CommandError("--from-file: only for set", returncode=USAGE)
        {"set": self._set, "list": self._list, "delete": self._delete, "rekey": self._rekey}[action](options)

    def _set(self, options: dict[str, Any]) -> None:
        name = options["name"]
        if not re.fullmatch(NAME, name):
            raise CommandError(f"{name[:80]!r} can't be a secret's name: {NAME_SAYS}", returncode=USAGE)
        project, value = project_of(options), value_of(name, options["from_file"])
        secret = Secret.objects.filter(project=project, name=name).first()
        if secret is None:
            secret = keeping.make(project, name, value, None)
        else:
            keeping.replace(secret, value)
        self._tell(Secret.objects.filter(pk=secret.pk), "set", options)
        if not secret.masked:
            self.stderr.write("its value is too short to be masked in output")

    def _list(self, options: dict[str, Any]) -> None:
        found = Secret.objects.select_related("project", "created_by").defer("sealed")
        found = found.filter(project=project_of(options)) if options["project"] else found
        if options["as_json"]:
            self.print_json(SecretSerializer(found, many=True).data)
        elif not found:
            self.stdout.write("no secrets")
        else:
            table = new_table(
                *(Column(heading, no_wrap=True) for heading in ("project", "name", "changed", "last used"))
            )
            for one in found:
                used = f"{one.last_used_at:%Y-%m-%d %H:%M}" if one.last_used_at else "never"
                table.add_row(one.project.name, one.name, f"{one.updated_at:%Y-%m-%d %H:%M}", used)
            self.console.print(table)

    def _delete(self, options: dict[str, Any]) -> None:
        project, name = project_of(options), options["name"]
        found = Secret.objects.filter(project=project, name=name)
        if not found:
            raise CommandError(
                f"project {project.name} has no secret {name[:128]!r}: `manage.py secret list` shows them"
            )
        self._tell(found, "deleted", options)
        found.delete()

    def _rekey(self, options: dict[str, Any]) -> None:
        try:
            count = keeping.reseal_all()
        except Unreadable as error:
            raise CommandError(f"nothing is changed, of a secret {error}") from error
        if options["as_json"]:
            self.print_json({"rekeyed": count})
        else:
            self.stdout.write(f"{count} encrypted anew")

    def _tell(self, found: QuerySet[Secret], done: str, options: dict[str, Any]) -> None:
        one = found.select_related("project", "created_by").get()
        if options["as_json"]:
            self.print_json(SecretSerializer(one).data)
        else:
            self.stdout.write(f"{one.name} of project {one.project.name} is {done}")


def project_of(options: dict[str, Any]) -> Project:
    name = options["project"] or "default"
    project = Project.objects.filter(name=name).first()
    if project is None:
        raise CommandError(f"--project: no project {name!r}", returncode=USAGE)
    return project


def value_of(name: str, file: str | None) -> SecretStr:
    try:
        text = Path(file).read_bytes().decode() if file is not None else _from_stdin(name)
        return check_value(text)
    except OSError as error:
        raise CommandError(f"--from-file: can't read {file}: {error.strerror}", returncode=USAGE) from error
    except UnicodeDecodeError:
        raise CommandError("the value is not UTF-8 text: encode it, e.g. in base64", returncode=USAGE) from None
    except ValueError as error:
        raise CommandError(f"the value {error}", returncode=USAGE) from None


def _from_stdin(name: str) -> str:
    if sys.stdin.isatty():
        return getpass(f"Value of {name} (not shown): ")
    return sys.stdin.buffer.read(LONGEST_BYTES + 3).decode().removesuffix("\n").removesuffix("\r")
