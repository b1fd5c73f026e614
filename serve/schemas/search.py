"""Bodies of the search: products with facets, and completions."""

from typing import Annotated, Final

from pydantic import Field, StringConstraints

from persistence.records import FacetCount
from serve.schemas.base import CamelOut
from serve.schemas.catalog import ProductOut
from serve.schemas.money import MoneyOut
from serve.schemas.page import PageMeta

QUERY_CHARACTERS_MAX: Final = 200
_NO_CONTROLS: Final = r"^[^\x00-\x1f\x7f]*$"

SearchText = Annotated[str, StringConstraints(max_length=QUERY_CHARACTERS_MAX, pattern=_NO_CONTROLS)]
BrandName = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=_NO_CONTROLS)]


class FacetValueOut(CamelOut):
    """A value and how many of the found products have it."""

    value: str = Field(examples=["peripherals"])
    count: int = Field(examples=[6])

    @classmethod
    def of(cls, facet: FacetCount) -> "FacetValueOut":
        """As counted."""
        return cls(value=facet.value, count=facet.count)


class PriceRangeOut(CamelOut):
    """A range of prices, `from` inclusive, `to` exclusive; the last one has no end."""

    from_: MoneyOut = Field(alias="from", examples=[100])
    to: MoneyOut | None = Field(examples=[250])
    count: int = Field(examples=[3])

    @classmethod
    def of(cls, facet: FacetCount) -> "PriceRangeOut":
        """As counted."""
        return cls(from_=facet.from_minor or 0, to=facet.to_minor, count=facet.count)


class FacetsOut(CamelOut):
    """Counts over what the text finds. Each facet obeys every filter but its own."""

    category: list[FacetValueOut]
    brand: list[FacetValueOut]
    price: list[PriceRangeOut]


class SearchOut(CamelOut):
    """One page of what was found, the facets of all of it, and how many there are."""

    data: list[ProductOut]
    facets: FacetsOut
    total: int = Field(examples=[4])
    meta: PageMeta


class SuggestionsOut(CamelOut):
    """Completions, best first."""

    data: list[str] = Field(examples=[["Mechanical Keyboard K87", "Slim Wireless Keyboard"]])
