"""Searches as bodies of requests. What a shopper types is a value in them always, and never parsed."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from persistence.cursors import CursorKey
from persistence.opensearch.schema import APART
from persistence.records import SearchQuery
from persistence.search_documents import (
    DESCRIPTION,
    FACT_EXACT,
    FACT_OTHER,
    NAME_EXACT,
    NAME_OTHER,
    RANK_SCALE,
    TERM_CHARACTERS_MAX,
)
from persistence.search_pages import FACET_VALUES_MAX, PRICE_EDGES_MINOR, SearchSort, descending, position, sort_of
from persistence.search_spelling import edits_allowed, grams
from persistence.search_words import QueryWord, Term

Body = dict[str, Any]

SIMILAR_WORDS_MAX: Final = 10_000
PHRASES_MAX: Final = 1_000
_SKUS_OF_A_CLAUSE: Final = 50_000
"""A server takes 65,536 terms in one clause, unless it is told otherwise."""

_NOT_REMOVED: Final[Body] = {"term": {"removed": False}}
_KEYS: Final = {"name": "name_key", "price": "price_minor", "-price": "price_minor", "newest": "created_at_ms"}
_REGEXP_SIGNS: Final = frozenset('.?+*|{}[]()"\\#@&<>~^$-')


def has_words(words: Sequence[QueryWord], *, every: bool = True, where: str = "words") -> Body:
    """What has every one of these words, or any; none: everything."""
    tests = [_any_of(where, word) for word in words]
    if every or not tests:
        return {"bool": {"filter": [_NOT_REMOVED, *tests]}}
    return {"bool": {"filter": [_NOT_REMOVED, {"bool": {"should": tests, "minimum_should_match": 1}}]}}


def is_there(query: Body) -> Body:
    """Whether anything is found."""
    return {"size": 1, "_source": False, "track_total_hits": False, "terminate_after": 1, "query": query}


def known_word(word: QueryWord) -> Body:
    """Whether anything in the vocabulary stands for this word."""
    return is_there(has_words([word], where="vocabulary"))


def similar_words(word: str) -> Body:
    """The vocabulary of what has a word within the allowed edits: those that share a trigram, of about its length.

    The server's automaton finds the products, by any letter; which of their words are nearest is decided by the caller.
    """
    edits = edits_allowed(word)
    fuzzy = {"value": word, "fuzziness": edits, "prefix_length": 0, "transpositions": True, "rewrite": "constant_score"}
    alike = "|".join(map(_with_gram, grams(word)))
    include = f"({alike})&.{{{len(word) - edits},{len(word) + edits}}}"
    return {
        "size": 0,
        "query": {"bool": {"filter": [_NOT_REMOVED, {"fuzzy": {"vocabulary": fuzzy}}]}},
        "aggs": {"words": {"terms": {"field": "vocabulary", "include": include, "size": SIMILAR_WORDS_MAX}}},
    }


def phrases_from(typed: str) -> Body:
    """Brands and categories that begin so, with how many products have them."""
    # A server refuses expressions of more than 1,000 signs; for what is longer than any phrase this finds nothing.
    beginning = _escaped(typed[: TERM_CHARACTERS_MAX + 1])
    terms = {"field": "phrases", "include": f"{beginning}.*", "size": PHRASES_MAX}
    return {"size": 0, "query": _begins("phrases", typed), "aggs": {"phrases": {"terms": terms}}}


def phrase_of(key: str) -> tuple[str, str, str]:
    """(folded text, kind, text as shown)."""
    term, kind, shown = key.split(APART, 2)
    return term, kind, shown


def names_from(typed: str, limit: int) -> Body:
    """Names that begin so."""
    return _names(_begins("name_text", typed), limit)


def names_with(words: Sequence[QueryWord], limit: int) -> Body:
    """Names that have all these words."""
    return _names(has_words(words, where="name_words"), limit)


def page_of(query: SearchQuery, words: Sequence[QueryWord], *, every: bool) -> Body:
    """A page, the total, the facets, and how many have the words and are in stock, all of one moment."""
    sort = sort_of(query)
    found = has_words(words, every=every)
    if query.skus_in_stock is not None:
        found["bool"]["filter"].append(_in_stock(query.skus_in_stock))
    if sort == "relevance":
        found["bool"]["should"] = [_points(word) for word in words]
    tests = _filters(query)
    body: Body = {
        # One more than asked tells whether another page follows.
        "size": query.limit + 1,
        "track_total_hits": True,
        "_source": ["document"],
        "query": found,
        "post_filter": _all_of(tests.values()),
        "sort": _sort(sort),
        "aggs": _facets(tests),
    }
    at = position(query)
    if at is not None:
        body["search_after"] = [*_behind(sort, at[0]), at[1]]
    return body


def key_of(sort: SearchSort, values: Sequence[Any]) -> CursorKey:
    """A hit's key in the lists of `search_pages`."""
    if sort != "relevance":
        return values[0] if sort == "name" else int(values[0])
    return int(values[1]) - int(values[0]) * RANK_SCALE


def _behind(sort: SearchSort, key: CursorKey) -> list[CursorKey]:
    if sort != "relevance":
        return [key]
    # The negative rank apart again: points, and the words of the name.
    points = -(int(key) // RANK_SCALE)
    return [points, points * RANK_SCALE + int(key)]


def _sort(sort: SearchSort) -> list[Body]:
    if sort == "relevance":
        return [{"_score": "desc"}, {"name_length": "asc"}, {"id": "asc"}]
    order = "desc" if descending(sort) else "asc"
    return [{_KEYS[sort]: order}, {"id": order}]


def _points(word: QueryWord) -> Body:
    """`SearchDocument.rank` without the name's length: the score is a whole number, the best place of each word."""
    exact = Term(word.word, prefix=False)
    places = (
        (_term("name_words", exact), NAME_EXACT),
        (_any_of("name_words", word), NAME_OTHER),
        (_term("facts", exact), FACT_EXACT),
        (_any_of("facts", word), FACT_OTHER),
        (_any_of("words", word), DESCRIPTION),
    )
    return {"dis_max": {"queries": [{"constant_score": {"filter": test, "boost": points}} for test, points in places]}}


def _facets(tests: dict[str, Body]) -> Body:
    """A facet counts those that meet all filters but its own."""
    values = {"size": FACET_VALUES_MAX, "order": [{"_count": "desc"}, {"_key": "asc"}]}
    edges = [*PRICE_EDGES_MINOR, None]
    ranges = [
        {"key": str(number), "from": edges[number - 1]} | ({} if edges[number] is None else {"to": edges[number]})
        for number in range(1, len(edges))
    ]
    branded = {"bool": {"must_not": [{"term": {"brand": ""}}]}}
    counted = {
        "category": ({"terms": {"field": "categories", **values}}, []),
        "brand": ({"terms": {"field": "brand", **values}}, [branded]),
        "price": ({"range": {"field": "price_minor", "ranges": ranges}}, []),
    }
    facets: Body = {
        name: {
            "filter": _all_of([*(test for of, test in tests.items() if of != name), *more]),
            "aggs": {"values": values},
        }
        for name, (values, more) in counted.items()
    }
    return {**facets, "found": {"filter": {"match_all": {}}}}


def _filters(query: SearchQuery) -> dict[str, Body]:
    """The filters by the facet that they belong to."""
    tests: dict[str, Body] = {}
    if query.category is not None:
        tests["category"] = {"term": {"categories": query.category}}
    if query.brand is not None:
        tests["brand"] = {"term": {"brand": query.brand}}
    bounds = {"gte": query.min_price_minor, "lte": query.max_price_minor}
    bounds = {name: bound for name, bound in bounds.items() if bound is not None}
    if bounds:
        tests["price"] = {"range": {"price_minor": bounds}}
    return tests


def _in_stock(skus: Iterable[str]) -> Body:
    listed = sorted(skus)
    clauses = [
        {"terms": {"skus": listed[start : start + _SKUS_OF_A_CLAUSE]}}
        for start in range(0, len(listed), _SKUS_OF_A_CLAUSE)
    ]
    return {"bool": {"should": clauses, "minimum_should_match": 1}} if clauses else {"match_none": {}}


def _names(query: Body, limit: int) -> Body:
    order = [{"name_text": "asc"}, {"id": "asc"}]
    return {"size": limit, "track_total_hits": False, "_source": ["name"], "query": query, "sort": order}


def _begins(where: str, typed: str) -> Body:
    """What begins so. Nothing that is indexed is longer than its bound, so a longer beginning has no need to be sent."""
    beginning = {"prefix": {where: {"value": typed}}}
    return {"bool": {"filter": [_NOT_REMOVED, beginning if len(typed) <= TERM_CHARACTERS_MAX else {"match_none": {}}]}}


def _all_of(tests: Iterable[Body]) -> Body:
    listed = list(tests)
    return {"bool": {"filter": listed}} if listed else {"match_all": {}}


def _any_of(where: str, word: QueryWord) -> Body:
    tests = [_term(where, term) for term in word.terms]
    return tests[0] if len(tests) == 1 else {"bool": {"should": tests, "minimum_should_match": 1}}


def _term(where: str, term: Term) -> Body:
    return {"prefix" if term.prefix else "term": {where: {"value": term.text}}}


def _with_gram(gram: str) -> str:
    """The expression for words with this trigram; `grams` marks a word's beginning and end with blanks."""
    letters = _escaped(gram.strip())
    if gram.startswith(" "):
        return f"{letters}.*"
    return f".*{letters}" if gram.endswith(" ") else f".*{letters}.*"


def _escaped(text: str) -> str:
    return "".join(f"\\{sign}" if sign in _REGEXP_SIGNS else sign for sign in text)
