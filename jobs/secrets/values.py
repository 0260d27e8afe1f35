"""What a secret's value may be: text that fits into an environment. Held so that no `repr` and no traceback shows it."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, SecretStr, TypeAdapter, ValidationError

LONGEST_BYTES = 64 * 1024


def _check(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if "\0" in text:
        raise ValueError("a NUL character can't be in an environment: remove it, or encode the value, e.g. in base64")
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise ValueError("holds half of a surrogate pair: send valid Unicode") from None
    if not 1 <= size <= LONGEST_BYTES:
        raise ValueError(f"must have 1 to {LONGEST_BYTES} bytes: this one has {size}")
    return value


Value = Annotated[SecretStr, AfterValidator(_check)]
_value: TypeAdapter[SecretStr] = TypeAdapter(Value)


def check_value(text: str) -> SecretStr:
    """Raises ValueError with what is wrong with it, and without the text."""
    try:
        return _value.validate_python(text)
    except ValidationError as error:
        message = error.errors(include_input=False, include_context=False)[0]["msg"]
        raise ValueError(message.removeprefix("Value error, ")) from None
