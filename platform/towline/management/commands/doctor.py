"""`manage.py doctor`: every dependency in one line, and what to do about it."""

from __future__ import annotations

import sys
from typing import Any

from rich.text import Text

from jobs.terminal.command import TerminalCommand
from jobs.terminal.words import safe
from towline.doctor import engines, house, kubernetes, servers, tracing
from towline.doctor.finding import Finding, Level, examine

MARKS = {Level.OK: ("✓", "bold green"), Level.WARNING: ("!", "bold yellow"), Level.FAILED: ("✗", "bold red")}
NAME_COLUMNS = 12


class Command(TerminalCommand):
    help = """\
Look at everything Towline needs, and say of each in one line whether it is well (✓), may bite (!) or
fails (✗), with the remedy. Exit code 1 if one fails. Changes nothing."""
    examples = """
manage.py doctor
manage.py doctor --json | jq '.findings[] | select(.level != "ok")'
"""

    def handle(self, *args: Any, **options: Any) -> None:
        findings = examine((*house.CHECKS, *servers.CHECKS, *engines.CHECKS, *kubernetes.CHECKS, *tracing.CHECKS))
        well = all(finding.level is not Level.FAILED for finding in findings)
        if options["as_json"]:
            self.print_json({"well": well, "findings": [finding.as_json() for finding in findings]})
        else:
            for finding in findings:
                self.console.print(line(finding), soft_wrap=not self.console.is_terminal)
        sys.exit(0 if well else 1)


def line(finding: Finding) -> Text:
    mark, style = MARKS[finding.level]
    text = Text.assemble((mark, style), f" {finding.name:<{NAME_COLUMNS}} {safe(finding.detail)}")
    return text.append(f"  → {safe(finding.remedy)}", style="italic") if finding.remedy else text
