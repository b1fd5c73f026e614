"""How product lists sort, for every adapter of the catalog: the sort key of a product, and its direction."""

from persistence.cursors import CursorKey, decode_cursor, encode_cursor
from persistence.errors import StaleVersion
from persistence.records import PriceRecord, ProductQuery, ProductRecord, VariantRecord


def price_minor(product: ProductRecord) -> int:
    """A product's price: the lowest of its variants' (0 without variants)."""
    return min((variant.price_minor for variant in product.variants), default=0)


def name_key(name: str) -> str:
    """Names sort without regard to case, by code point."""
    return name.casefold()


def sort_key(query: ProductQuery, product: ProductRecord) -> CursorKey:
    """What `query` sorts by; ties go by id, in the same direction."""
    match query.sort:
        case "name":
            return name_key(product.name)
        case "price" | "-price":
            return price_minor(product)
        case "newest":
            return product.created_at_ms


def descending(query: ProductQuery) -> bool:
    """Whether the list runs from high to low."""
    return query.sort in ("-price", "newest")


def product_cursor(query: ProductQuery, last: ProductRecord) -> str:
    """The cursor behind a page that ends with `last`."""
    return encode_cursor(f"products:{query.sort}", sort_key(query, last), last.id)


def cursor_position(query: ProductQuery) -> tuple[CursorKey, str] | None:
    """Where a page begins; None at the start. Raises `ValueError` for a foreign cursor."""
    if query.cursor is None:
        return None
    key, product_id = decode_cursor(f"products:{query.sort}", query.cursor)
    if isinstance(key, str) != (query.sort == "name"):
        raise ValueError("not a cursor of this list")
    return key, product_id


def replaces_price(current: PriceRecord | None, product: ProductRecord, variant: VariantRecord) -> bool:
    """Whether a variant brings a new price version. Price versions of a SKU only grow, and never change.

    Raises `StaleVersion` if it reuses a version for another price.
    """
    if current is None or variant.price_version > current.version:
        return True
    same = (
        current.version == variant.price_version
        and current.replaced_at_ms is None
        and current.product_id == product.id
        and current.price_minor == variant.price_minor
        and current.currency == product.currency
    )
    if not same:
        raise StaleVersion(f"price version {variant.price_version} of {variant.sku} is taken (at {current.version})")
    return False
