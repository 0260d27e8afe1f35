"""What the schema generator can't see by itself: the token, the spec inside a job, and that every error is a problem document."""

from __future__ import annotations

from typing import Any

from drf_spectacular.contrib.pydantic import PydanticExtension
from drf_spectacular.extensions import OpenApiAuthenticationExtension, OpenApiSerializerExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import build_bearer_security_scheme_object
from drf_spectacular.utils import Direction

from jobs.spec import JobSpec

from .problems import CONTENT_TYPE

PROBLEM = {"$ref": "#/components/schemas/Problem"}
LIMITS_OF_DATABASES = {limit for bits in (16, 32, 64) for limit in (2 ** (bits - 1) - 1, -(2 ** (bits - 1)))}
OTLP = "/otlp/"
METHODS = ("get", "post", "put", "patch", "delete")


class BearerTokenScheme(OpenApiAuthenticationExtension):
    target_class = "jobs.api.authentication.BearerToken"
    name = "token"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        return dict(build_bearer_security_scheme_object("Authorization", "Bearer"))


class AttemptTokenScheme(BearerTokenScheme):
    """A container's."""

    target_class = "jobs.api.otlp.AttemptToken"
    name = "containerToken"


class JobExtension(OpenApiSerializerExtension):
    """`JobSerializer` shows the fields of the spec beside its own."""

    target_class = "jobs.api.serializers.JobSerializer"

    def map_serializer(self, auto_schema: AutoSchema, direction: Direction) -> dict[str, Any]:
        own = auto_schema._map_serializer(self.target, direction, bypass_extensions=True)
        spec = PydanticExtension(JobSpec).map_serializer(auto_schema, direction)
        return {**own, "properties": {**spec["properties"], **own["properties"]}}


def without_limits_of_databases(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """A hook over the whole schema: how big a number a column takes differs between databases, and is nobody's business."""
    for schema in result["components"]["schemas"].values():
        for described in schema.get("properties", {}).values():
            if described.get("maximum") in LIMITS_OF_DATABASES:
                del described["maximum"]
                described.pop("format", None)
            if described.get("minimum") in LIMITS_OF_DATABASES:
                del described["minimum"]
    return result


def with_problems(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """A hook over the whole schema: whatever is not described is a problem document, and errors have its media type.

    OTLP has errors of its own.
    """
    for path, operations in result["paths"].items():
        for method in METHODS:
            if method in operations and OTLP not in path:
                _describe_errors(operations[method]["responses"])
    return result


def _describe_errors(responses: dict[str, Any]) -> None:
    responses.setdefault("default", {"description": "A problem document (RFC 9457).", "content": {}})
    for status, response in responses.items():
        if status == "default" or status >= "400":
            response["content"] = {CONTENT_TYPE: {"schema": PROBLEM}}
