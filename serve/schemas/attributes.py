"""Free-form attributes of a product: JSON of the merchant's own, within bounds."""

from decimal import Decimal
from typing import Annotated, Any, Final

import msgspec
from pydantic import AfterValidator, Field, StringConstraints, TypeAdapter, ValidationError

ATTRIBUTES_MAX: Final = 50
DEPTH_MAX: Final = 5
BYTES_MAX: Final = 32_768
TEXT_CHARACTERS_MAX: Final = 1_000

# No leading $ or _ and no dot: names that a document store could read as an operator or a path, or a script as a
# prototype. No control characters.
AttributeName = Annotated[str, StringConstraints(pattern=r"^[^\s\x00-\x1f\x7f-\x9f$._][^\x00-\x1f\x7f-\x9f$.]{0,63}$")]
_NAME: Final = TypeAdapter(AttributeName)


def _storable(attributes: dict[str, Any]) -> dict[str, Any]:
    stored = {name: _value(member, name, 1) for name, member in attributes.items()}
    if len(msgspec.json.encode(stored)) > BYTES_MAX:
        raise ValueError(f"attributes take at most {BYTES_MAX} bytes as JSON")
    return stored


def _value(value: object, path: str, depth: int) -> object:
    if depth > DEPTH_MAX:
        raise ValueError(f"{path}: attributes nest at most {DEPTH_MAX} levels")
    match value:
        case None | bool() | int():
            return value
        case float() | Decimal():
            return _measure(Decimal(value))
        case str():
            if len(value) > TEXT_CHARACTERS_MAX:
                raise ValueError(f"{path}: a text has at most {TEXT_CHARACTERS_MAX} characters")
            return value
        case list():
            return [_value(item, f"{path}/{index}", depth + 1) for index, item in enumerate(value)]
        case dict():
            return {_name(name, path): _value(member, f"{path}/{name}", depth + 1) for name, member in value.items()}
        case _:
            raise ValueError(f"{path}: not JSON")


def _measure(number: Decimal) -> int | float:
    """A measure, not money. Whole ones are integers: the stores do not tell 5 from 5.0, nor 1e15 from its digits."""
    whole = number.to_integral_value()
    return int(whole) if number == whole else float(number)


def _name(name: object, path: str) -> str:
    try:
        return _NAME.validate_python(name, strict=True)
    except ValidationError:
        raise ValueError(f"{path}: a member's name is not acceptable") from None


Attributes = Annotated[
    dict[AttributeName, Any],
    Field(max_length=ATTRIBUTES_MAX, examples=[{"weightKg": 1.46, "ports": ["HDMI"]}]),
    AfterValidator(_storable),
]
"""Field of a body: any JSON, checked as it is stored."""
