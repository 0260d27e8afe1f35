"""`manage.py document`: write the generated files; `--check` only says which of them are stale."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from towline.settings.environment import REPOSITORY


class Command(BaseCommand):
    help = "Write the files that are generated: the OpenAPI schema, charts/rbac.yaml and pages of docs/."
    # Needs no database and no engine, only the code.
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--check", action="store_true", help="write nothing; fail when one is stale")
        parser.add_argument("--into", type=Path, default=REPOSITORY, metavar="FOLDER", help="instead of the checkout")

    def handle(self, *args: Any, check: bool, into: Path, **options: Any) -> None:
        # What makes them takes the schema generator, which no other command needs.
        from towline.documents import stale_documents, write_documents

        if not check:
            for name in write_documents(into):
                self.stdout.write(f"wrote {name}")
        elif stale := stale_documents(into):
            raise CommandError(f"stale: {', '.join(stale)}. Run `make docs` and commit what it writes.")
