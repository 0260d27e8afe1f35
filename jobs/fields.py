"""What the fields of a spec are made of: texts, quantities, seconds, with their bounds and what is said when they are passed."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from .quantities import MIB, to_bytes

ARGUMENT_BYTES = 128 * 1024  # the kernel's MAX_ARG_STRLEN, its NUL included
WEEK_SECONDS = 7 * 24 * 3600


def _plain(text: str) -> str:
    if "\0" in text:
        raise ValueError("a NUL character can't be passed to a program: remove it")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError("holds half of a surrogate pair: send valid Unicode") from error
    return text


def _argument(text: str) -> str:
    if len(text.encode()) >= ARGUMENT_BYTES:
        raise ValueError("one argument or value has less than 128 KiB: pass it by stdin or script")
    return text


def _within(low: int, high: int) -> AfterValidator:
    def check(quantity: int | str) -> int | str:
        if not low <= to_bytes(quantity) <= high:
            raise ValueError(f"must be between {low} and {high} bytes")
        return quantity

    return AfterValidator(check)


Text = Annotated[str, AfterValidator(_plain)]
Argument = Annotated[str, AfterValidator(_plain), AfterValidator(_argument)]
Quantity = Annotated[int | str, _within(6 * MIB, 16 * 1024**4)]
DiskQuantity = Annotated[int | str, _within(MIB, 1024**5)]
ShmQuantity = Annotated[int | str, _within(0, 1024**4)]
Label = Annotated[str, AfterValidator(_plain), Field(max_length=255)]
Seconds = Annotated[float, Field(gt=0, le=30 * WEEK_SECONDS, allow_inf_nan=False)]
