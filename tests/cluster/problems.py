"""What the API server answers when it does not do as asked: `Status` objects in its own words."""

from __future__ import annotations

from typing import Any

REASONS = {
    400: "BadRequest", 401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 405: "MethodNotAllowed", 409: "Conflict",
    410: "Expired", 422: "Invalid", 429: "TooManyRequests", 500: "InternalError", 503: "ServiceUnavailable",
}  # fmt: skip


class Problem(Exception):
    def __init__(
        self, code: int, message: str, reason: str | None = None, details: dict[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = REASONS.get(code, "") if reason is None else reason
        self.details = details
        self.headers: dict[str, str] = {}

    @property
    def status(self) -> dict[str, Any]:
        made: dict[str, Any] = {
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": str(self),
        }  # fmt: skip
        if self.reason:
            made["reason"] = self.reason
        if self.details:
            made["details"] = self.details
        return {**made, "code": self.code}


def not_found(resource: str, name: str) -> Problem:
    return Problem(404, f'{resource} "{name}" not found', details={"name": name, "kind": resource})


def exists(resource: str, name: str) -> Problem:
    return Problem(409, f'{resource} "{name}" already exists', "AlreadyExists", {"name": name, "kind": resource})


def conflict(resource: str, name: str, why: str) -> Problem:
    message = f'Operation cannot be fulfilled on {resource} "{name}": {why}'
    return Problem(409, message, details={"name": name, "kind": resource})


def invalid(kind: str, name: str, *causes: tuple[str, str]) -> Problem:
    """`causes` are pairs of a field and what is wrong with it."""
    said = ", ".join(f"{field}: {message}" for field, message in causes)
    said = said if len(causes) == 1 else f"[{said}]"
    listed = [{"reason": "FieldValueInvalid", "message": message, "field": field} for field, message in causes]
    return Problem(422, f'{kind} "{name}" is invalid: {said}', details={"name": name, "kind": kind, "causes": listed})


def forbidden(resource: str, name: str, why: str) -> Problem:
    return Problem(403, f'{resource} "{name}" is forbidden: {why}', details={"name": name, "kind": resource})


def expired(asked: int, oldest: int) -> Problem:
    return Problem(410, f"too old resource version: {asked} ({oldest})")
