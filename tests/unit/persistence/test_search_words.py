"""Words, spelling and pages of the search, apart from any store."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persistence.records import SearchQuery
from persistence.search_documents import DOCUMENT_WORDS_MAX, TERM_CHARACTERS_MAX, document_of
from persistence.search_pages import PRICE_EDGES_MINOR, counted, price_range_of, price_ranges
from persistence.search_spelling import edit_distance, edits_allowed, grams, likeliest, similarity
from persistence.search_words import (
    QUERY_WORDS_MAX,
    WORD_CHARACTERS_MAX,
    indexed_words,
    is_blank,
    query_words,
    words_of,
)
from tests.contract.builders import product, variant

WORDS = st.text("abcde", max_size=7)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Premium Ultrabook-Pro 15", ["premium", "ultrabook", "pro", "15"]),
        ("Ärmel ÄRMEL A\u0308rmel", ["armel", "armel", "armel"]),
        ("Straße İstanbul", ["strasse", "istanbul"]),
        ("a:* | !b & 'c'", ["a", "b", "c"]),
        ("100% _x_ $ne", ["100", "x", "ne"]),
        ("机械键盘", ["机", "械", "键", "盘"]),
        ("\ufffd\u200b\x00 \t", []),
    ],
)
def test_a_text_is_its_words(text: str, words: list[str]) -> None:
    assert words_of(text) == words


@given(text=st.text())
def test_words_are_folded_bounded_and_without_signs(text: str) -> None:
    for word in indexed_words(text):
        assert 0 < len(word) <= WORD_CHARACTERS_MAX
        assert word == word.casefold()
        assert not set(word) & set("'\"\\:*&|!()<>%_ \x00")


@given(text=st.text())
def test_a_query_is_bounded_and_every_word_of_it_is_found_by_itself(text: str) -> None:
    words = query_words(text)
    assert len(words) <= QUERY_WORDS_MAX
    assert len({word.word for word in words}) == len(words)
    assert bool(words) == bool(words_of(text))
    for word in words:
        assert any(term.finds(word.word) for term in word.terms)


def test_compounds_are_found_apart_and_as_one_word() -> None:
    assert indexed_words("USB-C LAPTOP-001 don't 15.3") == [
        *("usb", "c", "laptop", "001", "don", "t", "15", "3"),
        *("usbc", "laptop001", "dont"),
    ]


def test_words_that_nobody_looks_for_count_only_alone() -> None:
    assert [word.word for word in query_words("the laptop with a bag")] == ["laptop", "bag"]
    assert [word.word for word in query_words("The Who")] == ["who"]
    assert [word.word for word in query_words("to the")] == ["to", "the"]


def test_blanks_ask_for_everything_and_signs_for_nothing() -> None:
    assert is_blank("")
    assert is_blank(" \u00a0 ")
    assert not is_blank("%")
    assert query_words("% _ '") == []


@pytest.mark.parametrize(
    ("one", "other", "edits"),
    [("keybord", "keyboard", 1), ("mosue", "mouse", 1), ("moniter", "monitor", 1), ("abc", "abc", 0), ("ab", "cd", 2),
     ("kitten", "sitting", 3), ("", "ab", 2), ("ca", "abc", 3)],
)  # fmt: skip
def test_edits_are_counted(one: str, other: str, edits: int) -> None:
    assert edit_distance(one, other, 3) == edits


@given(one=WORDS, other=WORDS)
def test_edits_are_symmetric_and_capped(one: str, other: str) -> None:
    whole = edit_distance(one, other, 20)
    assert whole == edit_distance(other, one, 20)
    assert (whole == 0) == (one == other)
    assert whole <= max(len(one), len(other))
    for most in range(4):
        assert edit_distance(one, other, most) == min(whole, most + 1)


@given(one=WORDS.filter(bool), other=WORDS.filter(bool))
def test_similarity_is_a_share(one: str, other: str) -> None:
    alike = similarity(grams(one), grams(other))
    assert 0 <= alike <= 1
    assert alike == similarity(grams(other), grams(one))
    assert similarity(grams(one), grams(one)) == 1


def test_only_the_nearest_words_are_corrections_and_numbers_never() -> None:
    assert likeliest("moniter", ["minister", "monitor"]) == ["monitor"]
    assert likeliest("mouse", ["mouse", "moose", "house"]) == ["moose", "house"]
    assert likeliest("mouse", ["horse"]) == []
    assert [edits_allowed(word) for word in ("usb", "oaks", "mouse", "keybord", "k87", "laptop001")] == [
        0,
        1,
        1,
        2,
        0,
        0,
    ]


def test_what_a_store_must_index_for_one_product_is_bounded() -> None:
    huge = " ".join(f"w{n}" for n in range(3 * DOCUMENT_WORDS_MAX))
    document = document_of(product(name="\ufdfa" * 200, variants=[variant(huge)]))
    assert len(document.words) == DOCUMENT_WORDS_MAX
    assert document.name_words <= document.words
    assert len(document.name_text) <= TERM_CHARACTERS_MAX
    assert all(len(term) <= TERM_CHARACTERS_MAX for _, term, _ in document.terms())


@given(price=st.integers(0, 10**9))
def test_every_price_is_in_its_range(price: int) -> None:
    (found,) = price_ranges({price_range_of(price): 1})
    assert found.from_minor is not None
    assert found.from_minor <= price
    assert found.to_minor is None or price < found.to_minor
    assert found.from_minor in PRICE_EDGES_MINOR


def test_facet_values_are_the_most_frequent_first() -> None:
    assert [each.value for each in counted({"b": 1, "a": 1, "c": 2})] == ["c", "a", "b"]
    assert len(counted({f"v{n}": 1 for n in range(100)})) == 50


def test_a_query_record_knows_nothing_of_syntax() -> None:
    assert [word.word for word in query_words(SearchQuery(text="mouse -gaming OR title:x").text)] == [
        *("mouse", "gaming", "title", "x")
    ]


def test_compounds_are_found_wherever_a_word_may_begin() -> None:
    assert {"usbc", "wifi", "oreilly"} <= set(indexed_words("USB-C 你Wi-Fi, O'Reilly"))


@pytest.mark.timeout(60)
def test_a_text_without_a_gap_ends() -> None:
    # In the square of the length this would take an hour.
    assert indexed_words("a" * 200_000) == ["a" * WORD_CHARACTERS_MAX]
