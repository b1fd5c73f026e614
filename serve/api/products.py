"""Products: reading the catalog, and managing it."""

from typing import Annotated, Literal

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from persistence.records import ProductQuery, ProductRecord
from serve.answers import answer, no_content
from serve.auth.access import allow, public
from serve.auth.principal import Role
from serve.catalog import writes
from serve.deps import Services, ServicesOf
from serve.errors import not_found
from serve.etags import ExpectedVersions
from serve.events import cause_of
from serve.openapi import problems
from serve.route import API_PREFIX, service_router
from serve.schemas.catalog import CategoryId, ProductIn, ProductOut, is_product_id
from serve.schemas.money import MoneyQuery
from serve.schemas.page import Cursor, Limit, PageMeta, PageOut, bad_cursor

Sort = Literal["name", "price", "-price", "newest"]
router = service_router("catalog")


@router.get("/products", response_model=PageOut[ProductOut])
@public()
async def list_products(
    services: ServicesOf,
    category: Annotated[CategoryId | None, Query()] = None,
    min_price: Annotated[MoneyQuery | None, Query(alias="minPrice")] = None,
    max_price: Annotated[MoneyQuery | None, Query(alias="maxPrice")] = None,
    in_stock: Annotated[bool, Query(alias="inStock", description="only what can be bought now")] = False,  # noqa: FBT002
    sort: Annotated[Sort, Query()] = "name",
    limit: Limit = 20,
    cursor: Cursor = None,
) -> Response:
    """A page of products. Stock in it may be a second old."""
    query = ProductQuery(
        category=category,
        min_price_minor=min_price,
        max_price_minor=max_price,
        skus_in_stock=await services.stock.in_stock() if in_stock else None,
        sort=sort,
        limit=limit,
        cursor=cursor,
    )
    try:
        products, next_cursor, total = await services.stores.catalog.products(query)
    except ValueError:
        raise bad_cursor() from None
    available = await services.stock.available([variant.sku for product in products for variant in product.variants])
    data = [ProductOut.of(product, available) for product in products]
    return answer(PageOut[ProductOut](data=data, meta=PageMeta(next_cursor=next_cursor, total=total)))


@router.get("/products/{product_id}", response_model=ProductOut)
@public()
async def get_product(product_id: str, services: ServicesOf) -> Response:
    """One product."""
    product = await services.stores.catalog.product(product_id) if is_product_id(product_id) else None
    if product is None:
        raise not_found()
    return await _shown(services, product)


@router.post("/products", status_code=201, response_model=ProductOut, responses=problems("already-exists"))
@allow(Role.ADMIN)
async def create_product(request: Request, body: ProductIn, services: ServicesOf) -> Response:
    """Add a product. Its stock is adjusted apart, under inventory."""
    product = await writes.create_product(
        services.stores.catalog,
        body,
        cause=cause_of(request),
        currency=services.settings.catalog_currency,
        at_ms=services.clock.now_ms(),
    )
    return await _shown(services, product, status=201)


@router.put(
    "/products/{product_id}", response_model=ProductOut, responses=problems("already-exists", "version-mismatch")
)
@allow(Role.ADMIN)
async def replace_product(
    request: Request, product_id: str, body: ProductIn, expected: ExpectedVersions, services: ServicesOf
) -> Response:
    """Replace a product. A price that differs becomes a new price version."""
    if not is_product_id(product_id):
        raise not_found()
    product = await writes.replace_product(
        services.stores.catalog,
        product_id,
        body,
        expected=expected,
        cause=cause_of(request),
        currency=services.settings.catalog_currency,
        at_ms=services.clock.now_ms(),
    )
    return await _shown(services, product)


@router.delete("/products/{product_id}", status_code=204, responses=problems("version-mismatch"))
@allow(Role.ADMIN)
async def delete_product(
    request: Request, product_id: str, expected: ExpectedVersions, services: ServicesOf
) -> Response:
    """Remove a product: it can no longer be bought, and its id is not given again."""
    if not is_product_id(product_id):
        raise not_found()
    await writes.delete_product(
        services.stores.catalog,
        product_id,
        expected=expected,
        cause=cause_of(request),
        at_ms=services.clock.now_ms(),
    )
    return no_content()


async def _shown(services: Services, product: ProductRecord, *, status: int = 200) -> Response:
    available = await services.stock.available([variant.sku for variant in product.variants])
    location = f"{API_PREFIX}/products/{product.id}" if status == 201 else None
    return answer(ProductOut.of(product, available), status=status, version=product.version, location=location)
