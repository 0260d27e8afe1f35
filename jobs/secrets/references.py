"""How a spec names secrets: `"API_KEY"`, or `{"name": "DB_PASSWORD", "env": "PGPASSWORD"}`. Never their values."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

NAME = r"^[A-Za-z_][A-Za-z0-9_]{0,127}$"
NAME_SAYS = "letters, digits and _, not a digit first, at most 128"
SHORT = 'write it as "NAME", or as {"name": "NAME", "env": "VARIABLE"}'
OURS = "TOWLINE_"
Name = Annotated[str, Field(pattern=NAME)]


class SecretReference(BaseModel):
    """The project's secret `name`, to be in the container's environment as `env`; the same name when left out."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    name: Name
    env: Name


def _from_short_form(value: Any) -> Any:
    if isinstance(value, str):
        if not re.fullmatch(NAME, value):
            raise ValueError(f"{value[:80]!r} is no secret's name: {NAME_SAYS}")
        return {"name": value, "env": value}
    if isinstance(value, dict):
        return value if value.get("env") is not None else {**value, "env": value.get("name")}
    if isinstance(value, SecretReference):
        return value
    raise ValueError(SHORT)


def _variables_differ(references: list[SecretReference]) -> list[SecretReference]:
    variables = [one.env for one in references]
    if twice := [name for name in dict.fromkeys(variables) if variables.count(name) > 1]:
        raise ValueError(f"{twice[0]} would be set twice: give each its own env")
    if ours := [name for name in variables if name.startswith(OURS)]:
        raise ValueError(f"{ours[0]} can't be set: names that begin with {OURS} are Towline's own, choose another env")
    return references


AnyForm = Annotated[SecretReference, BeforeValidator(_from_short_form, json_schema_input_type=SecretReference | str)]
References = Annotated[list[AnyForm], Field(max_length=100), AfterValidator(_variables_differ)]
