"""Encryption at rest: Fernet (AES-128-CBC with HMAC-SHA256) under a key derived from SECRET_KEY.

What was sealed under one of SECRET_KEY_FALLBACKS can be opened, so that the key can be changed; `reseal` brings it to the new one.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

PURPOSE = b"towline: secrets of jobs"  # a key for this alone: sessions and tokens have theirs


class Unreadable(Exception):
    """Sealed under a key that this process does not have."""

    def __init__(self) -> None:
        super().__init__(
            "it was encrypted under another TOWLINE_SECRET_KEY: name that one in TOWLINE_SECRET_KEY_FALLBACKS"
        )


def seal(text: str) -> bytes:
    return _keys(settings.SECRET_KEY).encrypt(text.encode())


def unseal(sealed: bytes | memoryview) -> str:
    """Raises Unreadable."""
    try:
        return _ours().decrypt(bytes(sealed)).decode()
    except InvalidToken:
        raise Unreadable from None


def reseal(sealed: bytes | memoryview) -> bytes:
    """Under the key of today. Raises Unreadable."""
    try:
        return _ours().rotate(bytes(sealed))
    except InvalidToken:
        raise Unreadable from None


def _ours() -> MultiFernet:
    return _keys(settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)


@lru_cache(maxsize=16)
def _keys(*secrets: str) -> MultiFernet:
    derived = (HKDF(SHA256(), 32, salt=None, info=PURPOSE).derive(secret.encode()) for secret in secrets)
    return MultiFernet([Fernet(urlsafe_b64encode(key)) for key in derived])
