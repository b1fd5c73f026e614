"""The bases of all bodies: strict when they come in, exact when they go out."""

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class SnakeIn(BaseModel):
    """A request body with snake_case names (auth, users). No coercion; unknown fields are refused."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)


class CamelIn(BaseModel):
    """A request body with camelCase names. No coercion; unknown fields are refused."""

    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, hide_input_in_errors=True, alias_generator=to_camel
    )


class SnakeOut(BaseModel):
    """An answer with snake_case names."""

    model_config = ConfigDict(frozen=True)


class CamelOut(BaseModel):
    """An answer with camelCase names; made with the Python names."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, validate_by_name=True, validate_by_alias=True)


def visible(text: str) -> str:
    """The text, if something of it can be seen. Raises `ValueError`."""
    if not any(character.isprintable() and not character.isspace() for character in text):
        raise ValueError("must have a character that can be seen")
    return text
