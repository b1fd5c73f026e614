"""What a product is found by: its words by where they stand, and the terms that it adds to the vocabulary."""

from collections.abc import Iterable, Iterator
from typing import Final, Literal

import msgspec

from persistence.product_lists import name_key, price_minor
from persistence.records import ProductRecord
from persistence.search_spelling import in_vocabulary
from persistence.search_words import QueryWord, indexed_words, name_apart, words_of

TermKind = Literal["word", "brand", "category"]

NAME_EXACT: Final = 8
NAME_OTHER: Final = 6
FACT_EXACT: Final = 4
FACT_OTHER: Final = 3
DESCRIPTION: Final = 1
NAME_WORDS_MAX: Final = 127
"""Points of a query's word by the best place it is found in; *other* is a beginning, a singular or a correction."""

RANK_SCALE: Final = NAME_WORDS_MAX + 1
DOCUMENT_WORDS_MAX: Final = 2_000
TERM_CHARACTERS_MAX: Final = 200
"""Bounds of what a store must index for one product: names and facts first, then the description's first words."""


class SearchDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A product as it is searched. `facts` are the words of brand, SKUs, categories, attributes and options."""

    id: str
    version: int
    name_key: str
    name_text: str
    brand: str
    categories: tuple[str, ...]
    price_minor: int
    created_at_ms: int
    skus: tuple[str, ...]
    name_words: frozenset[str]
    facts: frozenset[str]
    words: frozenset[str]
    product: ProductRecord

    @property
    def name_length(self) -> int:
        """How many words the name has; of two equal hits the shorter name comes first."""
        return min(len(self.name_text.split()), NAME_WORDS_MAX)

    def terms(self) -> Iterator[tuple[TermKind, str, str]]:
        """(kind, folded text, text as shown) of what this product has in the vocabulary; each once."""
        for word in sorted(filter(in_vocabulary, self.words)):
            yield "word", word, word
        if self.brand and (brand := _phrase(self.brand)):
            yield "brand", brand, self.brand
        for category in self.categories:
            shown = category.replace("-", " ")
            yield "category", _phrase(shown), shown

    def rank(self, words: Iterable[QueryWord]) -> int:
        """The higher the better; equal ranks go by id. PostgreSQL computes the same (`sql/search.sql`)."""
        return sum(map(self._points, words)) * RANK_SCALE - self.name_length

    def has(self, word: QueryWord) -> bool:
        """Whether any of what stands for the word is found anywhere."""
        return _other(self.words, word)

    def has_in_name(self, word: QueryWord) -> bool:
        """Whether any of what stands for the word is in the name."""
        return _other(self.name_words, word)

    def _points(self, word: QueryWord) -> int:
        if word.word in self.name_words:
            return NAME_EXACT
        if _other(self.name_words, word):
            return NAME_OTHER
        if word.word in self.facts:
            return FACT_EXACT
        if _other(self.facts, word):
            return FACT_OTHER
        return DESCRIPTION if self.has(word) else 0


def document_of(product: ProductRecord) -> SearchDocument:
    """The product as it is searched."""
    name_words = list(dict.fromkeys(indexed_words(product.name)))
    facts = list(dict.fromkeys(word for text in _facts(product) for word in indexed_words(text)))
    words = dict.fromkeys((*name_words, *facts, *indexed_words(product.description)))
    kept = frozenset(list(words)[:DOCUMENT_WORDS_MAX])
    return SearchDocument(
        id=product.id,
        version=product.version,
        name_key=name_key(product.name),
        name_text=_phrase(product.name),
        brand=product.brand,
        categories=tuple(sorted(set(product.categories))),
        price_minor=price_minor(product),
        created_at_ms=product.created_at_ms,
        skus=tuple(sorted({variant.sku for variant in product.variants})),
        name_words=kept.intersection(name_words),
        facts=kept.intersection(facts),
        words=kept,
        product=product,
    )


def replaces(held: tuple[int, bool] | None, version: int, *, removed: bool) -> bool:
    """Whether what comes at `version` takes the place of what is held (version, removed).

    The greater version wins, and of the same version the removal: any order of the same changes ends the same.
    """
    return held is None or version > held[0] or (version == held[0] and (removed or not held[1]))


def _phrase(text: str) -> str:
    return " ".join(words_of(text))[:TERM_CHARACTERS_MAX]


def _facts(product: ProductRecord) -> Iterator[str]:
    yield product.brand
    yield from product.categories
    for name, value in product.attributes.items():
        yield from _attribute(name, value)
    for variant in product.variants:
        yield variant.sku
        yield from variant.options.values()


def _attribute(name: str, value: object) -> Iterator[str]:
    match value:
        case None | False:
            return  # `wireless: false` is no reason to be found by "wireless"
        case True:
            yield name_apart(name)
        case list() | tuple():
            yield name_apart(name)
            for item in value:
                yield from _attribute("", item) if isinstance(item, dict | list) else (str(item),)
        case dict():
            yield name_apart(name)
            for member, inner in value.items():
                yield from _attribute(member, inner)
        case _:
            yield name_apart(name)
            yield str(value)


def _other(found_in: frozenset[str], word: QueryWord) -> bool:
    return any(
        term.text in found_in or (term.prefix and any(found.startswith(term.text) for found in found_in))
        for term in word.terms
    )
