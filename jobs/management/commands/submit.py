"""`manage.py submit`: store a job, and follow it if asked."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import yaml
from django.contrib.auth.models import User
from django.core.management.base import CommandError, CommandParser
from pydantic import ValidationError

from jobs.api.serializers import JobSerializer
from jobs.logs.records import StoredLine
from jobs.models import Job
from jobs.needs import Needs
from jobs.outlook import outlook
from jobs.preview import NoPreview, preview
from jobs.services import KeyReused, QueueFull, Rejected, check, submit
from jobs.spec import JobSpec, field_errors, parse_spec
from jobs.terminal import following
from jobs.terminal.command import INTERRUPTED, USAGE, TerminalCommand
from jobs.terminal.spec_options import add_spec_options, body_of


class Command(TerminalCommand):
    help = """\
Submit a job and print its id. With --follow its output is shown as it comes, and the exit code is
the job's own; 124 when it timed out, 130 when it was cancelled or Ctrl-C detached from it (the job
goes on), 1 when it failed without an exit code. 2: it was refused, nothing is stored."""
    examples = """
manage.py submit busybox:1.36 -- echo hello
manage.py submit busybox:1.36 --follow --name count -- sh -c 'for i in 1 2 3; do echo $i; sleep 1; done'
manage.py submit python:3.13-slim --script train.py --memory 2Gi --timeout 600 --retries 2 --retry-on oom_killed
manage.py submit --spec job.json --priority 10 --json
manage.py submit busybox:1.36 --runtime kubernetes --dry-run -o yaml -- sh -c 'echo hello'
"""
    behind: list[str] = []

    def create_parser(self, prog_name: str, subcommand: str, **options: Any) -> CommandParser:
        usage = f"{prog_name} {subcommand} IMAGE [options] [-- COMMAND …]"
        return super().create_parser(prog_name, subcommand, usage=usage, **options)

    def run_from_argv(self, argv: list[str]) -> None:
        """What stands behind the first `--` is the job's: argparse itself would mix it up with options."""
        if "--" in argv:
            cut = argv.index("--")
            argv, self.behind = argv[:cut], argv[cut + 1 :]
        super().run_from_argv(argv)

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("words", nargs="*", metavar="IMAGE", help="its command goes behind --; or the image's own")
        add_spec_options(parser)
        parser.add_argument("--owner", metavar="USER", help="whose job it is; default: nobody's")
        parser.add_argument("--idempotency-key", metavar="KEY", help="the same again: the first job, not a second one")
        parser.add_argument("--dry-run", action="store_true", help="check it, store nothing")
        parser.add_argument(
            "-o", "--output", choices=["yaml", "json"], help="with --dry-run: what the runtime would be asked for"
        )
        parser.add_argument("-f", "--follow", action="store_true", help="show the output until the job is over")

    def handle(self, *args: Any, **options: Any) -> None:
        spec = checked(body_of(_image(options["words"]), self.behind, options))
        if options["dry_run"]:
            self._show(spec, options)
            return
        if options["output"]:
            raise CommandError("-o shows what --dry-run would ask for: give both, or neither", returncode=USAGE)
        job = stored(spec, _owner(options["owner"]), options["idempotency_key"])
        if options["as_json"]:
            self.print_json(JobSerializer(job).data)
        elif not options["follow"]:
            self.stdout.write(str(job.pk))
            if job.waiting_reason == "no_worker":
                self.stderr.write(f"it waits: {job.waiting_detail}")
        if options["follow"]:
            sys.exit(self._follow(job, as_json=options["as_json"]))

    def _show(self, spec: JobSpec, options: dict[str, Any]) -> None:
        """What would be asked for, and nothing stored."""
        if options["follow"]:
            raise CommandError("--dry-run submits nothing to follow: leave out one of them", returncode=USAGE)
        with _refusing():
            check(spec, _owner(options["owner"]))
        try:
            documents = preview(spec) if options["output"] else []
        except NoPreview as error:
            raise CommandError(f"--dry-run: {error}", returncode=USAGE) from error
        if options["output"] == "yaml":
            self.stdout.write(yaml.safe_dump_all(documents, sort_keys=False, allow_unicode=True), ending="")
        elif options["output"] == "json" or options["as_json"]:
            self.print_json(documents or spec.model_dump(mode="json"))
        else:
            why = outlook(Needs.of(spec.model_dump(mode="json")))
            self.stdout.write(f"would wait ({why[0]}): {why[1]}" if why else "would be taken; nothing was stored")

    def _follow(self, job: Job, *, as_json: bool) -> int:
        self.stdout.flush()
        following.say_submitted(job.pk)
        wanted = following.Following(job.pk, self._print_row if as_json else following.print_exactly)
        try:
            end = following.follow_to_end(wanted)
        except KeyboardInterrupt:
            following.say_detached(job.pk)
            return INTERRUPTED
        if as_json:
            self.print_json(end)
        following.say_how_it_ended(job.pk, end)
        return following.exit_code_of(end)

    def _print_row(self, line: StoredLine, attempt: int) -> None:
        self.print_json({"attempt": attempt, **line.as_json()})


def _image(words: list[str]) -> str | None:
    if len(words) > 1:
        rest = " ".join(words[1:])
        raise CommandError(f"put -- before the command: submit {words[0]} [options] -- {rest}", returncode=USAGE)
    return words[0] if words else None


def _owner(name: str | None) -> User | None:
    if name is None:
        return None
    try:
        return User.objects.get_by_natural_key(name)
    except User.DoesNotExist as error:
        message = f"--owner: no user {name!r}: `manage.py token {name} --create` makes one"
        raise CommandError(message, returncode=USAGE) from error


def checked(body: dict[str, Any]) -> JobSpec:
    try:
        return parse_spec(body)
    except ValidationError as error:
        raise refusal(field_errors(error)) from error


@contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except Rejected as error:
        raise refusal(error.errors) from error


def stored(spec: JobSpec, owner: User | None, key: str | None) -> Job:
    try:
        with _refusing():
            return submit(spec, owner, idempotency_key=key)[0]
    except KeyReused as error:
        message = f"--idempotency-key {key} was given to another job: choose a new one for this one"
        raise CommandError(message, returncode=USAGE) from error
    except QueueFull as error:
        raise CommandError("the queue is full: try again when `manage.py jobs --state queued` is shorter") from error


def refusal(errors: dict[str, list[str]]) -> CommandError:
    lines = [f"  {field}: {message}" for field, messages in errors.items() for message in messages]
    return CommandError("the job was refused:\n" + "\n".join(lines), returncode=USAGE)
