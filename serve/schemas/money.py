"""Money on the wire: a JSON number with two decimals. Inside: integer minor units. Never a float."""

import re
from decimal import Decimal
from typing import Annotated, Any, Final

import msgspec
from pydantic import BeforeValidator, PlainSerializer, StringConstraints, WithJsonSchema

from actors.domain.money import MINOR_MAX, MINOR_PER_MAJOR, decimal_of, minor_of

_TEXT: Final = re.compile(r"\d{1,12}(\.\d{1,2})?", re.ASCII)


def minor_of_number(value: object) -> int:
    """Minor units of a parsed JSON number (int or Decimal). Raises `ValueError` for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
        raise ValueError("an amount of money is a number")  # noqa: TRY004 - pydantic reports ValueError only
    return minor_of(Decimal(value))


def minor_of_text(value: object) -> int:
    """Minor units of an amount in a query string, such as `1299.99`. Raises `ValueError`."""
    if not isinstance(value, str) or _TEXT.fullmatch(value) is None:
        raise ValueError("must be an amount such as 1299.99")
    return minor_of(Decimal(value))


def money_number(minor: int) -> msgspec.Raw:
    """129999 → the JSON number `1299.99`, for msgspec's encoder; always two decimals."""
    return msgspec.Raw(f"{decimal_of(minor):f}".encode("ascii"))


_NUMBER_SCHEMA: Final = {
    "type": "number",
    "minimum": 0,
    "maximum": MINOR_MAX // MINOR_PER_MAJOR,
    "multipleOf": 0.01,
    "examples": [1299.99],
}

MoneyIn = Annotated[int, BeforeValidator(minor_of_number), WithJsonSchema(_NUMBER_SCHEMA)]
"""Field of a request body: a JSON number on the wire, minor units in the model."""

MoneyQuery = Annotated[int, BeforeValidator(minor_of_text), WithJsonSchema(_NUMBER_SCHEMA)]
"""Query parameter: an amount's text, minor units in the handler."""

MoneyOut = Annotated[
    int,
    PlainSerializer(money_number, return_type=Any),
    WithJsonSchema(_NUMBER_SCHEMA, mode="serialization"),
]
"""Field of an answer: minor units in the model, a number with two decimals in `answer(...)`."""

Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
"""ISO 4217 code."""
