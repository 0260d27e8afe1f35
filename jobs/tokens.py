"""What a container proves with which attempt it is. The token follows from the attempt and the installation's key: it is kept
nowhere, any process knows it for masking, and it holds while the attempt is under way, and a moment longer.
"""

from __future__ import annotations

import re
from datetime import timedelta

from django.conf import settings
from django.core.signing import BadSignature, Signer
from django.db.models import Q

from .clock import Now
from .models import Attempt

PREFIX = "towline_attempt_"  # so long that masks of all tokens look for the same heads, see `secrets.search.automaton`
GRACE = timedelta(seconds=60)  # what a program sends while it ends may come late
_NAMED = re.compile(rf"{PREFIX}([0-9a-f]{{32}})-([1-9][0-9]{{0,8}})")


def token_of(attempt: Attempt) -> str:
    """Fit for a header and a URL as it is."""
    return _signer(settings.SECRET_KEY).sign(_name(attempt))


def tokens_of(attempt: Attempt) -> list[str]:
    """The same under each key that holds: a container made before the key was changed has the one of then."""
    return [_signer(key).sign(_name(attempt)) for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)]


def attempt_of(token: str) -> Attempt | None:
    """Whose it is, with its job; None where it is of nobody, or of an attempt that is over."""
    try:
        named = _NAMED.fullmatch(_signer(settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS).unsign(token))
    except BadSignature:
        return None
    if named is None:
        return None
    found = Attempt.objects.filter(Q(finished_at=None) | Q(finished_at__gt=Now() - GRACE))
    return found.select_related("job").filter(job_id=named[1], number=int(named[2])).first()


def _name(attempt: Attempt) -> str:
    return f"{PREFIX}{attempt.job_id.hex}-{attempt.number}"


def _signer(key: str | bytes, *before: str | bytes) -> Signer:
    return Signer(key=key, sep=".", salt="towline.attempt", fallback_keys=list(before))
