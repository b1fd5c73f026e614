"""Text to words, the same for every search adapter: what is indexed, and what of a query is looked for.

Words are folded: compatibility forms, case and accents make no difference (`Ärmel` = `armel`). Everything that is
no letter, digit or mark separates words, so a query has no syntax: `%`, `"`, `-x`, `$ne` and `a:*` are the words
in them. Scripts written without spaces (Chinese, Japanese) are taken sign by sign.
"""

import re
import unicodedata
from collections.abc import Iterable
from typing import Final

import msgspec

WORD_CHARACTERS_MAX: Final = 64
QUERY_WORDS_MAX: Final = 10
"""Further words of a query are passed over."""

_STEM_PREFIX_MIN: Final = 4
_PLURAL_MIN: Final = 4
_SIGN: Final = r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]"
# \w does not know the vowel signs of the Indic scripts and Thai, so their blocks are named.
_LETTER: Final = rf"(?!{_SIGN})(?:[^\W_]|[\u0900-\u0963\u0966-\u0fff])"
_WORD: Final = re.compile(rf"{_SIGN}|(?:{_LETTER})+")
# It begins where a word does: tried from every letter of a long word, it would take the square of its length.
_COMPOUND: Final = re.compile(rf"(?<!{_LETTER})(?:{_LETTER})+(?:[-._'\u2019](?:{_LETTER})+)+")
_JOINTS: Final = re.compile(r"[-._'\u2019]")
_HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
# Passed over in a query that has other words: nobody looks for them, and few products have them.
_STOP_WORDS: Final = frozenset(
    ("a", "an", "and", "at", "by", "for", "from", "in", "is", "it", "of", "on", "or", "the", "to", "with")
)


class Term(msgspec.Struct, frozen=True):
    """A word to look for, whole or as a beginning."""

    text: str
    prefix: bool

    def finds(self, word: str) -> bool:
        """Whether this term finds an indexed word."""
        return word.startswith(self.text) if self.prefix else word == self.text


class QueryWord(msgspec.Struct, frozen=True):
    """One word of a query, and what else stands for it: what begins so, its singular, its corrections."""

    word: str
    terms: tuple[Term, ...]

    def with_terms(self, terms: Iterable[Term]) -> "QueryWord":
        """The same word with more that stands for it."""
        return QueryWord(self.word, tuple(dict.fromkeys((*self.terms, *terms))))


def folded(text: str) -> str:
    """`text` without compatibility forms, case and accents."""
    apart = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return unicodedata.normalize("NFC", "".join(sign for sign in apart if not unicodedata.combining(sign)))


def words_of(text: str) -> list[str]:
    """The words of a text in order, repeats included."""
    return [word[:WORD_CHARACTERS_MAX] for word in _WORD.findall(folded(text))]


def indexed_words(text: str) -> list[str]:
    """What a text is found by: its words, and compounds written as one (`USB-C`: usb, c, usbc)."""
    plain = folded(text)
    found = [word[:WORD_CHARACTERS_MAX] for word in _WORD.findall(plain)]
    for compound in _COMPOUND.findall(plain):
        joined = _JOINTS.sub("", compound)
        if not joined.isdigit():  # 15.3 is not 153
            found.append(joined[:WORD_CHARACTERS_MAX])
    return found


def name_apart(name: str) -> str:
    """An attribute's name as words: `batteryHours` → `battery Hours`."""
    return _HUMP.sub(" ", name)


def query_words(text: str) -> list[QueryWord]:
    """The words of a query, each once, at most `QUERY_WORDS_MAX`. A text without any word gives none."""
    words = list(dict.fromkeys(words_of(text)))
    words = ([word for word in words if word not in _STOP_WORDS] or words)[:QUERY_WORDS_MAX]
    # One letter begins half of all words: only the word that is being typed is read so.
    return [
        QueryWord(word, (Term(word, prefix=len(word) > 1 or word == words[-1]), *_singulars(word))) for word in words
    ]


def is_blank(text: str) -> bool:
    """Whether a query asks for everything. One of signs only (`%`) does not: it finds nothing."""
    return not text.strip()


def _singulars(word: str) -> list[Term]:
    """Readings of an English plural. Its own catalog may have the plural somewhere, and all others the singular."""
    if len(word) < _PLURAL_MIN or not word.endswith("s") or word.endswith("ss"):
        return []
    stems = [word[:-1]]
    if word.endswith("ies"):
        stems.append(word[:-3] + "y")
    elif word.endswith("es"):
        stems.append(word[:-2])
    return [Term(stem, prefix=len(stem) >= _STEM_PREFIX_MIN) for stem in stems]
