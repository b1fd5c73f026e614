"""Reads a JSON body strictly: exact numbers, no surprises, bounded in depth.

Numbers with a fraction or an exponent become `Decimal` from their text, so no amount ever passes through a
float. Refused as malformed (400): NaN and Infinity, repeated names, nesting beyond the limit, more values than any
request of ours has, anything that is not UTF-8 JSON. Refused as fields (422): numbers out of every sensible range, NUL
and lone surrogates in strings.
"""

import json
from decimal import Decimal, InvalidOperation
from typing import Final, NoReturn

from serve.errors import Problem, invalid_field

DEPTH_MAX: Final = 32
SEPARATORS_MAX: Final = 50_000
INTEGER_DIGITS_MAX: Final = 18
DECIMAL_EXPONENT_MAX: Final = 15

_UNREADABLE: Final = object()


def parse_strict(body: bytes) -> object:
    """The body as dicts, lists, strings, ints, Decimals, bools and None. Raises `Problem`."""
    try:
        text = body.decode("utf-8")
        # Every value but the first of each list or object is behind a comma, and each of those behind a bracket.
        # Commas within texts count too: a text of so many is none of ours either.
        if sum(map(text.count, ",[{")) > SEPARATORS_MAX:
            raise Problem("malformed-json", f"More than {SEPARATORS_MAX} values.")
        parsed: object = json.loads(
            text,
            parse_float=_fraction,
            parse_int=_integer,
            parse_constant=_refuse_constant,
            object_pairs_hook=_object,
        )
    except UnicodeDecodeError:
        raise Problem("malformed-json", "The body is not UTF-8.") from None
    except json.JSONDecodeError as error:
        raise Problem("malformed-json", f"Not valid JSON at line {error.lineno}, column {error.colno}.") from None
    except RecursionError:
        raise _too_deep() from None
    _inspect(parsed, "", 0)
    return parsed


def _integer(text: str) -> object:
    if len(text.removeprefix("-")) > INTEGER_DIGITS_MAX:
        return _UNREADABLE
    return int(text)


def _fraction(text: str) -> object:
    try:
        return Decimal(text)
    except InvalidOperation:
        return _UNREADABLE  # an exponent beyond what a Decimal can hold


def _refuse_constant(name: str) -> NoReturn:
    raise Problem("malformed-json", f"{name.lstrip('-')} is not JSON.")


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise Problem("malformed-json", "A name is repeated in an object.")
    return members


def _too_deep() -> Problem:
    return Problem("malformed-json", f"Nested deeper than {DEPTH_MAX} levels.")


def _inspect(value: object, pointer: str, depth: int) -> None:
    if depth > DEPTH_MAX:
        raise _too_deep()
    if isinstance(value, str):
        _inspect_text(value, pointer)
    elif isinstance(value, dict):
        for name, member in value.items():
            _inspect_text(name, pointer)
            _inspect(member, f"{pointer}/{name}", depth + 1)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _inspect(item, f"{pointer}/{index}", depth + 1)
    elif isinstance(value, Decimal):
        _, digits, exponent = value.as_tuple()
        if not isinstance(exponent, int) or len(digits) > INTEGER_DIGITS_MAX or abs(exponent) > DECIMAL_EXPONENT_MAX:
            raise invalid_field(pointer, "The number is out of range.")
    elif value is _UNREADABLE:
        raise invalid_field(pointer, "The number is out of range.")


def _inspect_text(text: str, pointer: str) -> None:
    if text.isascii():
        if "\x00" in text:
            raise invalid_field(pointer, "NUL is not allowed in text.")
        return
    if "\x00" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise invalid_field(pointer, "The text has characters that cannot be stored.")
