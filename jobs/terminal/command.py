"""The base of our commands: examples in --help, JSON, errors in one sentence, a quiet end when the reader is gone."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import orjson
from django.core.management.base import CommandError, CommandParser, DjangoHelpFormatter
from django.db import DatabaseError, OperationalError, ProgrammingError
from django_rich.management import RichCommand
from rich.console import Console

from jobs.logs.vault import Unreadable

INTERRUPTED = 130  # 128 + SIGINT, as shells say it
READER_GONE = 141  # 128 + SIGPIPE
USAGE = 2
EXAMPLES = "examples:\n"
PLAIN_WIDTH = 140  # columns where there is no terminal to ask


class ExamplesFormatter(DjangoHelpFormatter):
    """Django's order of options, and examples as they were written rather than filled."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if text.startswith(EXAMPLES) else super()._fill_text(text, width, indent)


class TerminalCommand(RichCommand):
    """`examples` are lines for the end of --help. With `reads_json`, there is a --json option."""

    examples: str = ""
    reads_json = True
    requires_system_checks = []
    suppressed_base_arguments = {"--version", "--verbosity", "--settings", "--pythonpath"}

    def create_parser(self, prog_name: str, subcommand: str, **options: Any) -> CommandParser:
        options.setdefault("formatter_class", ExamplesFormatter)
        if self.examples:
            options.setdefault("epilog", EXAMPLES + indented(self.examples))
        parser = super().create_parser(prog_name, subcommand, **options)
        if self.reads_json:
            parser.add_argument("--json", action="store_true", dest="as_json", help="JSON, as REST shapes it")
        return parser

    def make_rich_console(self, **options: Any) -> Console:
        """A terminal's own width; elsewhere wide enough for scripts and logs, whatever the environment says."""
        console = super().make_rich_console(highlight=False, **options)
        if not console.is_terminal and "COLUMNS" not in os.environ:
            console.width = PLAIN_WIDTH
        return console

    def execute(self, *args: Any, **options: Any) -> str | None:
        with one_sentence_errors():
            answer = super().execute(*args, **options)
            sys.stdout.flush()
            return answer

    def print_json(self, document: Any) -> None:
        """One line: a document, or a row of a stream."""
        self.stdout.write(orjson.dumps(document, default=str, option=orjson.OPT_UTC_Z).decode())


@contextmanager
def one_sentence_errors() -> Iterator[None]:
    """What users can mend is said in a sentence and never as a traceback."""
    try:
        yield
    except BrokenPipeError:
        _leave_stdout_alone()
        sys.exit(READER_GONE)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except Unreadable as error:
        raise CommandError(str(error)) from error
    except (OperationalError, ProgrammingError) as error:
        raise CommandError(database_complaint(error)) from error


def database_complaint(error: DatabaseError) -> str:
    text = str(error).strip().splitlines()[0]
    if "no such" in text or "does not exist" in text:
        return f"the database is not up to date ({text}): run `manage.py migrate`"
    return f"the database does not answer ({text}): look at DATABASE_URL, and ask `manage.py doctor`"


def _leave_stdout_alone() -> None:
    """The interpreter flushes stdout when it ends, which would complain about the pipe once more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.strip().splitlines())
