"""platform/towline/openapi.json: the REST schema, validated, and refused where the generator had to guess."""

from __future__ import annotations

import contextlib
import io
import json

from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiJsonRenderer
from drf_spectacular.validation import validate_schema


class GuessedError(Exception):
    """The generator warned: an annotation is missing. The message is its own."""


def openapi_document() -> str:
    """OpenAPI 3.1 as JSON. Raises GuessedError, and jsonschema's ValidationError for what is not OpenAPI."""
    told = io.StringIO()
    GENERATOR_STATS.reset()
    with contextlib.redirect_stderr(told):
        schema = SchemaGenerator().get_schema(request=None, public=True)
    if GENERATOR_STATS:
        raise GuessedError(told.getvalue())
    validate_schema(schema)
    plain = json.loads(OpenApiJsonRenderer().render(schema))
    return json.dumps(plain, indent=1, ensure_ascii=False) + "\n"
