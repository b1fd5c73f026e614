"""Whatever a product holds, it comes back from a file as it was."""

import io
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from persistence.records import ProductRecord
from serve.catalog.documents import document, is_same
from serve.catalog.formats import FORMATS
from serve.catalog.product_files import TextLines
from serve.schemas.catalog import ProductIn

# Weighted towards what files trip over: quotes, separators, ends of lines, formulas, BOMs, other planes.
TEXT = st.text(
    st.sampled_from("a=+-@,;|\"'\\\r\n\t\ufeff\u00a0é🫖{}[]:#") | st.characters(exclude_categories=["Cs"]), max_size=20
)
NUMBER = st.integers(-(10**17), 10**17) | st.floats(-1e12, 1e12, allow_subnormal=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBER | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
IMAGE = st.sampled_from(["/a.png", "https://x.example/a,b;c?d=e#f", "http://x.example/é", "/-"])


@st.composite
def bodies(draw: st.DrawFn) -> ProductIn | None:
    skus = draw(
        st.lists(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,9}", fullmatch=True), min_size=1, max_size=4, unique=True)
    )
    made: dict[str, Any] = {
        "id": draw(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,9}", fullmatch=True)),
        "name": draw(TEXT) + "x",
        "description": draw(TEXT),
        "brand": draw(TEXT),
        "categories": draw(st.lists(st.sampled_from(["audio", "a-b", "0"]), max_size=3)),
        "images": draw(st.lists(IMAGE, max_size=3)),
        "attributes": draw(st.dictionaries(TEXT, JSON, max_size=3)),
        "variants": [
            {
                "sku": sku,
                "options": draw(st.dictionaries(TEXT, TEXT, max_size=2)),
                "price": draw(st.integers(0, 10**11)),
            }
            for sku in skus
        ],
    }
    # What cannot be stored leaves its member out, so that the others are still tried.
    for _ in range(20):
        try:
            return ProductIn.model_validate(made)
        except ValidationError as error:
            for found in error.errors():
                location = found["loc"]
                if location[0] == "variants":
                    made["variants"][location[1]]["options"] = {}
                elif location[0] == "name":
                    made["name"] = "x"
                else:
                    made.pop(location[0], None)
    return None


@settings(max_examples=100, deadline=None)
@given(body=bodies(), others=st.lists(st.just(None), max_size=2))
@pytest.mark.parametrize("name", sorted(FORMATS))
def test_a_product_comes_back_from_a_file_as_it_was(name: str, body: ProductIn | None, others: list[None]) -> None:
    assert body is not None
    assert body.id is not None
    product = document(body.id, body, None, currency="USD", at_ms=1)
    file_format = FORMATS[name]
    text = (
        file_format.head() + file_format.text(product) + "".join(file_format.text(other(n)) for n in range(len(others)))
    )
    read = list(file_format.products(TextLines(io.BytesIO(text.encode()))))
    assert [(row.id, row.faults) for row in read] == [
        (row_id, ()) for row_id in [body.id, *(f"_{n}" for n in range(len(others)))]
    ]
    again = ProductIn.model_validate(read[0].body)
    assert is_same(product, document(body.id, again, product, currency="USD", at_ms=2))
    assert [row_id for _, row_id in file_format.named(TextLines(io.BytesIO(text.encode())))] == [row.id for row in read]


def other(number: int) -> ProductRecord:
    body = ProductIn.model_validate({"name": "other", "variants": [{"sku": f"other-{number}", "price": 1}]})
    return document(f"_{number}", body, None, currency="USD", at_ms=1)
