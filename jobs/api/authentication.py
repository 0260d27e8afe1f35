"""Who asks: a token in `Authorization: Bearer …`."""

from __future__ import annotations

from typing import Any

from knox.auth import TokenAuthentication
from rest_framework.exceptions import AuthenticationFailed


class BearerToken(TokenAuthentication):  # type: ignore[misc]  # knox is not typed
    def authenticate_credentials(self, token: bytes) -> Any:
        if not token.isascii():
            # knox would decode it as UTF-8 and fail with a 500.
            raise AuthenticationFailed("Invalid token.")
        return super().authenticate_credentials(token)
