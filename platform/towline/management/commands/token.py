"""`manage.py token USER`: a new token for the REST API."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.management.base import CommandError
from knox.models import AuthToken

from jobs.terminal.command import USAGE, TerminalCommand


class Command(TerminalCommand):
    help = """\
Print a new token of a user: it goes into the header `Authorization: Bearer TOKEN`. Only the token is
printed, and it can't be shown again: the database keeps its hash. Older tokens stay valid."""
    examples = """
manage.py token alice --create
TOKEN=$(manage.py token alice)
curl -H "Authorization: Bearer $TOKEN" http://localhost:8000/api/v1/jobs/
"""
    reads_json = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("user", metavar="USER")
        parser.add_argument("--create", action="store_true", help="make the user if there is none, without a password")

    def handle(self, *args: Any, user: str, create: bool, **options: Any) -> None:
        _, token = AuthToken.objects.create(_created(user) if create else _found(user))
        self.stdout.write(token)


def _found(name: str) -> User:
    user = User.objects.filter(username=name).first()
    if user is None:
        raise CommandError(f"no user {name!r}: --create makes one, `manage.py createsuperuser` an administrator")
    if not user.is_active:
        raise CommandError(f"user {name!r} is not active: a token of theirs would be refused")
    return user


def _created(name: str) -> User:
    if User.objects.filter(username=name).exists():
        return _found(name)
    user = User(username=name)
    user.set_unusable_password()
    try:
        user.full_clean()
    except ValidationError as error:
        raise CommandError(f"{name!r} can't be a user's name: {'; '.join(error.messages)}", returncode=USAGE) from error
    user.save()
    return user
