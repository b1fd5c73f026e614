"""What every adapter of the catalog checks before it writes a batch of products."""

from collections.abc import Mapping, Sequence

from persistence.errors import AlreadyExists, WriteRefused
from persistence.records import ProductWrite


def refused_claims(writes: Sequence[ProductWrite]) -> dict[str, WriteRefused]:
    """Product id → why the batch itself refuses it: a SKU twice, or one that an earlier product of the batch claims.

    Raises `ValueError` for two writes of one product: that would be a bug, not a refused write.
    """
    if len({write.product.id for write in writes}) != len(writes):
        raise ValueError("a batch writes a product once")
    refused: dict[str, WriteRefused] = {}
    claimed: set[str] = set()
    for write in writes:
        product = write.product
        skus = [variant.sku for variant in product.variants]
        if len(set(skus)) != len(skus):
            refused[product.id] = AlreadyExists(f"product {product.id} names a SKU twice")
        elif not claimed.isdisjoint(skus):
            refused[product.id] = AlreadyExists(f"a SKU of {product.id} belongs to another product")
        else:
            claimed.update(skus)
    return refused


def accepted(writes: Sequence[ProductWrite], refused: Mapping[str, WriteRefused]) -> list[ProductWrite]:
    """The writes that are left."""
    return [write for write in writes if write.product.id not in refused]
