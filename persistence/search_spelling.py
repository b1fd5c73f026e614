"""Typing errors: which words of the catalog may have been meant, for every search adapter.

    an unknown word ──trigrams──► words that look alike ──edits──► those nearest

Trigrams find candidates by an index; edits (a letter more, less, another, or two that changed places) decide.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from persistence.search_words import QueryWord, Term

CANDIDATES_MAX: Final = 100
CORRECTED_WORDS_MAX: Final = 4
"""Words that are corrected at a time, the first ones of a query; each costs a look into the vocabulary."""

_CORRECTIONS_MAX: Final = 5
_VOCABULARY_WORD_MIN: Final = 3
_CORRECTED_MIN: Final = 4
_TWO_EDITS_MIN: Final = 6


def in_vocabulary(word: str) -> bool:
    """Whether an indexed word may be what somebody meant: one of letters. A number, or half of it, is never a guess."""
    return len(word) >= _VOCABULARY_WORD_MIN and word.isalpha()


def edits_allowed(word: str) -> int:
    """How many typing errors a word of a query may have: 0 below four letters or with a digit, 1 up to five, then 2."""
    if len(word) < _CORRECTED_MIN or not word.isalpha():
        return 0
    return 2 if len(word) >= _TWO_EDITS_MIN else 1


def correctable(words: Iterable[QueryWord]) -> list[QueryWord]:
    """The words of a query that may have typing errors."""
    return [word for word in words if edits_allowed(word.word)]


def grams(word: str) -> list[str]:
    """Every three letters in a row, the word's beginning and end marked; sorted, each once."""
    padded = f"  {word} "
    return sorted({padded[at : at + 3] for at in range(len(padded) - 2)})


def similarity(one: Iterable[str], other: Iterable[str]) -> float:
    """Shared trigrams among all of both, 0 to 1."""
    first, second = set(one), set(other)
    return len(first & second) / len(first | second)


def likeliest(word: str, candidates: Iterable[str]) -> list[str]:
    """Those of the candidates that are fewest edits away, at most as many as allowed; in the order given."""
    least, found = edits_allowed(word), list[str]()
    for candidate in candidates:
        if candidate == word:
            continue  # known, and yet it met no other word
        edits = edit_distance(word, candidate, least)
        if edits < least:
            least, found = edits, []
        if edits <= least:
            found.append(candidate)
    return found[:_CORRECTIONS_MAX]


def with_corrections(words: Iterable[QueryWord], corrections: Mapping[str, Iterable[str]]) -> list[QueryWord]:
    """The words with their corrections, each also as a beginning: `keybord` finds keyboards."""
    return [
        word.with_terms(Term(text, prefix=len(text) >= _CORRECTED_MIN) for text in corrections.get(word.word, ()))
        for word in words
    ]


def edit_distance(one: str, other: str, most: int) -> int:
    """Edits that make one word of the other, neighbours that change places being one. Beyond `most`: `most + 1`."""
    if abs(len(one) - len(other)) > most:
        return most + 1
    before: list[int] = []
    last = list(range(len(other) + 1))
    for row, letter in enumerate(one, 1):
        line = [row]
        for column, facing in enumerate(other, 1):
            edits = min(last[column] + 1, line[-1] + 1, last[column - 1] + (letter != facing))
            if row > 1 and column > 1 and letter == other[column - 2] and one[row - 2] == facing:
                edits = min(edits, before[column - 2] + 1)
            line.append(edits)
        if min(line) > most:
            return most + 1
        before, last = last, line
    return min(last[-1], most + 1)
