"""Text of customers and of the catalog, made fit for a line of a message. Pure."""

import unicodedata

from actors.domain.money import decimal_of

LINE_CHARACTERS_MAX = 200
_BREAKING = frozenset({"Cc", "Zl", "Zp"})
_DIRECTIONS = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def one_line(text: str, characters_max: int = LINE_CHARACTERS_MAX) -> str:
    """The text in one line: nothing in it ends a header, begins another, or turns the rest of the line around."""
    line = " ".join((text if text.isascii() and text.isprintable() else _plain(text)).split())
    return line if len(line) <= characters_max else line[: characters_max - 1] + "…"


def _plain(text: str) -> str:
    return "".join(
        " " if unicodedata.category(character) in _BREAKING else character
        for character in text
        if character not in _DIRECTIONS
    )


def money(minor: int, currency: str) -> str:
    """129999, "USD" → `1,299.99 USD`."""
    return f"{decimal_of(minor):,.2f} {currency}"
