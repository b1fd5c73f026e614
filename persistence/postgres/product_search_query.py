"""A search as the text of one statement and its parameters. Values are parameters always; the rest is text of ours."""

from collections.abc import Sequence
from typing import Any, Final

from persistence.postgres.queries import fill
from persistence.records import SearchQuery
from persistence.search_documents import DESCRIPTION, FACT_EXACT, FACT_OTHER, NAME_EXACT, NAME_OTHER, RANK_SCALE
from persistence.search_pages import FACET_VALUES_MAX, PRICE_EDGES_MINOR, descending, position, sort_of
from persistence.search_words import QueryWord

_KEYS: Final = {
    "name": ("p.name_key", "text"),
    "price": ("p.price_minor", "bigint"),
    "-price": ("p.price_minor", "bigint"),
    "newest": ("p.created_at_ms", "bigint"),
}
_EDGES: Final = f"'{{{','.join(map(str, PRICE_EDGES_MINOR))}}}'::bigint[]"


def quoted(lexeme: str) -> str:
    """A word as text-search input reads it. Words are letters and digits, so this only makes sure."""
    return "'" + lexeme.replace("\\", "\\\\").replace("'", "''") + "'"


def any_of(word: QueryWord, weight: str = "") -> str:
    """The `tsquery` for whatever stands for a word, in places of this weight."""
    return " | ".join(_term(term.text, ("*" if term.prefix else "") + weight) for term in word.terms)


def all_of(words: Sequence[QueryWord], *, every: bool = True, weight: str = "") -> str:
    """The `tsquery` for every one of these words, or for any."""
    return (" & " if every else " | ").join(f"({any_of(word, weight)})" for word in words)


class SearchStatement:
    """The statement of one search, for `words` (none: everything), all of them or any, in one pair of tables."""

    def __init__(
        self, sql: dict[str, str], slot: str, query: SearchQuery, words: Sequence[QueryWord], *, every: bool
    ) -> None:
        self.arguments: list[Any] = []
        self._query = query
        self._every = every
        source = f"catalog.search_products_{slot} AS p"
        if words:
            source += f" JOIN catalog.search_texts_{slot} AS t ON t.id = p.id"
        if query.skus_in_stock is not None:
            source += " LEFT JOIN stocked ON stocked.id = p.id"
        found = f"t.words @@ {self._value(all_of(words, every=every), 'tsquery')}" if words else "NOT p.removed"
        sort = sort_of(query)
        key, key_type = _KEYS.get(sort) or (f"-({self._rank(words)})", "bigint")
        self.text = fill(
            sql["search"],
            stocked="" if query.skus_in_stock is None else self._stocked(sql["stocked"]),
            source=f"{source} WHERE {found}",
            key=key,
            category=self._test("p.categories @> ARRAY[{}]", query.category, "text"),
            brand=self._test("p.brand = {}", query.brand, "text"),
            price=" AND ".join(
                (
                    self._test("p.price_minor >= {}", query.min_price_minor, "bigint"),
                    self._test("p.price_minor <= {}", query.max_price_minor, "bigint"),
                )
            ),
            stock="true" if query.skus_in_stock is None else "stocked.id IS NOT NULL",
            behind=self._behind(key_type),
            direction="DESC" if descending(sort) else "ASC",
            values_max=str(FACET_VALUES_MAX),
            edges=_EDGES,
            # One more than asked tells whether another page follows.
            limit=self._value(query.limit + 1, "bigint"),
        )
        self.text = fill(self.text, slot=slot)

    def _value(self, value: object, sql_type: str) -> str:
        self.arguments.append(value)
        return f"${len(self.arguments)}::{sql_type}"

    def _test(self, test: str, value: object, sql_type: str) -> str:
        return "true" if value is None else test.replace("{}", self._value(value, sql_type))

    def _stocked(self, text: str) -> str:
        # The comment before a named part would hide the rest of its line here.
        part = text.partition("\n")[2]
        return fill(part, skus=self._value(sorted(self._query.skus_in_stock or ()), "text[]")) + " "

    def _behind(self, key_type: str) -> str:
        at = position(self._query)
        if at is None:
            return "true"
        comparison = "<" if descending(sort_of(self._query)) else ">"
        return f"(key, id) {comparison} ({self._value(at[0], key_type)}, {self._value(at[1], 'text')})"

    def _rank(self, words: Sequence[QueryWord]) -> str:
        """`SearchDocument.rank`, computed by the server."""
        points = " + ".join(self._points(word) for word in words) or "0"
        return f"(({points}) * {RANK_SCALE} - p.name_length)::bigint"

    def _points(self, word: QueryWord) -> str:
        """Most products have a common word in the description only: those are told apart by one test."""
        tests = (
            (_term(word.word, "A"), NAME_EXACT),
            (any_of(word, "A"), NAME_OTHER),
            (_term(word.word, "B"), FACT_EXACT),
        )
        cases = " ".join(f"WHEN t.title @@ {self._value(tsquery, 'tsquery')} THEN {n}" for tsquery, n in tests)
        anywhere = self._value(any_of(word), "tsquery")
        # Where every word is found, what is not in the title is in the description.
        rest = f"{DESCRIPTION}" if self._every else f"CASE WHEN t.words @@ {anywhere} THEN {DESCRIPTION} ELSE 0 END"
        return f"CASE WHEN t.title @@ {anywhere} THEN CASE {cases} ELSE {FACT_OTHER} END ELSE {rest} END"


def _term(text: str, flags: str) -> str:
    return f"{quoted(text)}:{flags}" if flags else quoted(text)
