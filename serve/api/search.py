"""Search: products by what the shopper types, with facets, and completions while typing."""

from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import Depends, Query
from starlette.responses import Response

from persistence.records import SearchQuery
from persistence.search_pages import SearchSort
from serve.answers import answer
from serve.auth.access import public
from serve.deps import ServicesOf
from serve.route import service_router
from serve.schemas.catalog import CategoryId, ProductOut
from serve.schemas.money import MoneyQuery
from serve.schemas.page import Cursor, Limit, PageMeta, bad_cursor
from serve.schemas.search import (
    BrandName,
    FacetsOut,
    FacetValueOut,
    PriceRangeOut,
    SearchOut,
    SearchText,
    SuggestionsOut,
)

SUGGESTIONS_MAX: Final = 10

router = service_router("catalog")


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What narrows a search, besides its words. Amounts in minor units."""

    category: str | None
    brand: str | None
    min_price_minor: int | None
    max_price_minor: int | None
    in_stock: bool


async def _filters(
    category: Annotated[CategoryId | None, Query()] = None,
    brand: Annotated[BrandName | None, Query(description="as the facet names it")] = None,
    min_price: Annotated[MoneyQuery | None, Query(alias="minPrice")] = None,
    max_price: Annotated[MoneyQuery | None, Query(alias="maxPrice")] = None,
    in_stock: Annotated[bool, Query(alias="inStock", description="only what can be bought now")] = False,  # noqa: FBT002
) -> Filters:
    return Filters(
        category=category, brand=brand, min_price_minor=min_price, max_price_minor=max_price, in_stock=in_stock
    )


@router.get("/search", response_model=SearchOut)
@public()
async def search_products(
    services: ServicesOf,
    filters: Annotated[Filters, Depends(_filters)],
    q: Annotated[
        SearchText,
        Query(description="plain words, typing errors allowed; empty finds everything", examples=["keybord"]),
    ] = "",
    sort: Annotated[SearchSort, Query(description="without `q` relevance is the name")] = "relevance",
    limit: Limit = 20,
    cursor: Cursor = None,
) -> Response:
    """Find products. A change of the catalog is found within seconds; stock may be a second old."""
    query = SearchQuery(
        text=q,
        category=filters.category,
        brand=filters.brand,
        min_price_minor=filters.min_price_minor,
        max_price_minor=filters.max_price_minor,
        skus_in_stock=await services.stock.in_stock() if filters.in_stock else None,
        sort=sort,
        limit=limit,
        cursor=cursor,
    )
    try:
        page = await services.stores.search.search(query)
    except ValueError:
        raise bad_cursor() from None
    available = await services.stock.available([each.sku for product in page.products for each in product.variants])
    facets = FacetsOut(
        category=[FacetValueOut.of(facet) for facet in page.facets["category"]],
        brand=[FacetValueOut.of(facet) for facet in page.facets["brand"]],
        price=[PriceRangeOut.of(facet) for facet in page.facets["price"]],
    )
    data = [ProductOut.of(product, available) for product in page.products]
    meta = PageMeta(next_cursor=page.next_cursor, total=page.total)
    return answer(SearchOut(data=data, facets=facets, total=page.total, meta=meta))


@router.get("/search/suggest", response_model=SuggestionsOut)
@public()
async def suggest(
    services: ServicesOf,
    q: Annotated[SearchText, Query(description="what was typed so far", examples=["keyb"])] = "",
) -> Response:
    """Complete what was typed: brands and categories, then names of products; at most ten."""
    return answer(SuggestionsOut(data=await services.stores.search.suggest(q, SUGGESTIONS_MAX)))
