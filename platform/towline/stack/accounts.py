"""The first account of an installation, and its token: made once, kept in files only their owner can read."""

from __future__ import annotations

import os
from pathlib import Path

from django.contrib.auth.models import User
from knox.auth import TokenAuthentication
from knox.models import AuthToken
from rest_framework.exceptions import AuthenticationFailed


def ensure_admin(username: str, password: str) -> User:
    """The superuser of that name; its password is set when it is made, never changed afterwards."""
    user, made = User.objects.get_or_create(username=username, defaults={"is_staff": True, "is_superuser": True})
    if made:
        user.set_password(password)
        user.save()
    return user


def ensure_token(user: User, path: Path) -> str:
    """The token in the file if it still opens the door, else a new one. The database holds only its hash."""
    if path.exists() and _is_good(token := path.read_text().strip()):
        return token
    _, token = AuthToken.objects.create(user)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(token)
    return str(token)


def _is_good(token: str) -> bool:
    try:
        TokenAuthentication().authenticate_credentials(token.encode())
    except AuthenticationFailed:
        return False
    return True
