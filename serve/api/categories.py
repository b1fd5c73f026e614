"""Categories: the list with product counts, and managing it."""

import re
from typing import Final

from starlette.responses import Response

from persistence.errors import AlreadyExists, StaleVersion
from persistence.ports import Catalog
from persistence.records import CategoryRecord
from serve.answers import answer, no_content
from serve.auth.access import allow, public
from serve.auth.principal import Role
from serve.catalog.documents import WRITE_ATTEMPTS_MAX, slug
from serve.deps import ServicesOf
from serve.errors import Problem, not_found
from serve.etags import ExpectedVersions, require_version
from serve.openapi import problems
from serve.route import service_router
from serve.schemas.catalog import CategoryIn, CategoryNameIn, CategoryOut
from serve.schemas.page import PageMeta, PageOut

router = service_router("catalog")
_ID: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")


@router.get("/categories", response_model=PageOut[CategoryOut])
@public()
async def list_categories(services: ServicesOf) -> Response:
    """All categories by name, with how many products each has."""
    categories = [CategoryOut.of(category) for category in await services.stores.catalog.categories()]
    return answer(PageOut[CategoryOut](data=categories, meta=PageMeta(total=len(categories))))


@router.post("/categories", status_code=201, response_model=CategoryOut, responses=problems("already-exists"))
@allow(Role.ADMIN)
async def create_category(body: CategoryIn, services: ServicesOf) -> Response:
    """Add a category."""
    category = CategoryRecord(id=body.id or slug(body.name), name=body.name, version=1)
    try:
        await services.stores.catalog.save_category(category, 0)
    except AlreadyExists:
        raise Problem("already-exists", "There is a category with this id.") from None
    # Products may name it already, from before it was removed.
    shown = await _existing(services.stores.catalog, category.id, None)
    return answer(CategoryOut.of(shown), status=201, version=shown.version)


@router.put("/categories/{category_id}", response_model=CategoryOut, responses=problems("version-mismatch"))
@allow(Role.ADMIN)
async def rename_category(
    category_id: str, body: CategoryNameIn, expected: ExpectedVersions, services: ServicesOf
) -> Response:
    """Change a category's name; its id stays."""
    catalog = services.stores.catalog
    for _ in range(WRITE_ATTEMPTS_MAX):
        old = await _existing(catalog, category_id, expected)
        renamed = CategoryRecord(id=old.id, name=body.name, version=old.version + 1, product_count=old.product_count)
        try:
            await catalog.save_category(renamed, old.version)
        except StaleVersion:
            continue
        return answer(CategoryOut.of(renamed), version=renamed.version)
    raise Problem("version-mismatch", "Somebody else keeps changing it.")


@router.delete("/categories/{category_id}", status_code=204, responses=problems("version-mismatch"))
@allow(Role.ADMIN)
async def delete_category(category_id: str, expected: ExpectedVersions, services: ServicesOf) -> Response:
    """Remove a category; its products stay."""
    catalog = services.stores.catalog
    for _ in range(WRITE_ATTEMPTS_MAX):
        old = await _existing(catalog, category_id, expected)
        try:
            await catalog.delete_category(category_id, old.version)
        except StaleVersion:
            continue
        return no_content()
    raise Problem("version-mismatch", "Somebody else keeps changing it.")


async def _existing(catalog: Catalog, category_id: str, expected: frozenset[int] | None) -> CategoryRecord:
    category = await catalog.category(category_id) if _ID.fullmatch(category_id) else None
    if category is None:
        raise not_found()
    require_version(expected, category.version)
    return category
