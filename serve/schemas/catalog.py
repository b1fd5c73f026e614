"""Bodies of products and categories."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field, StringConstraints, field_validator, model_validator

from persistence.product_lists import price_minor
from persistence.records import CategoryRecord, ProductRecord, VariantRecord
from serve.schemas.attributes import AttributeName, Attributes
from serve.schemas.base import CamelIn, CamelOut, visible
from serve.schemas.money import Currency, MoneyIn, MoneyOut

VARIANTS_MAX: Final = 100


_PRODUCT_ID: Final = r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}"

ProductId = Annotated[str, StringConstraints(pattern=f"^{_PRODUCT_ID}$")]
Sku = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
CategoryId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
# Something that can be seen, on one line.
Title = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True,
        min_length=1,
        max_length=200,
        pattern=r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]+$",
    ),
    AfterValidator(visible),
]
Line = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$")]
# Lines and tabs, but no other control characters: some formats have no way to write them.
Prose = Annotated[str, StringConstraints(max_length=10_000, pattern=r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$")]
_URL_PART: Final = r"[^\s\x00-\x20\x7f-\x9f\"'`<>\\^{|}]"
ImageUrl = Annotated[
    str, StringConstraints(max_length=500, pattern=f"^(https?://{_URL_PART}+|/[A-Za-z0-9._~%-]{_URL_PART}*)$")
]


def is_product_id(text: str) -> bool:
    """Whether a product can have this id. One that cannot is answered like one that does not exist."""
    return re.fullmatch(_PRODUCT_ID, text) is not None


class VariantIn(CamelIn):
    """A variant to store. Without `price` it costs what the product says."""

    sku: Sku = Field(examples=["LAPTOP-001"])
    options: dict[AttributeName, Line] = Field(default_factory=dict, max_length=10, examples=[{"memory": "16 GB"}])
    price: MoneyIn | None = None


class ProductIn(CamelIn):
    """A product to store. `price` is the lowest of its variants', and the price of those that name none."""

    id: ProductId | None = Field(None, examples=["prod-laptop-001"], description="made from the name if absent")
    name: Title = Field(examples=["Premium Ultrabook Pro 15"])
    description: Prose = ""
    brand: Annotated[Line, StringConstraints(strip_whitespace=True, max_length=100)] = Field("", examples=["Northpeak"])
    price: MoneyIn | None = None
    currency: Currency | None = Field(None, examples=["USD"])
    categories: list[CategoryId] = Field(default_factory=list, max_length=20, examples=[["computers"]])
    attributes: Attributes = Field(default_factory=dict)
    images: list[ImageUrl] = Field(default_factory=list, max_length=20, examples=[["/images/laptop.png"]])
    variants: list[VariantIn] = Field(min_length=1, max_length=VARIANTS_MAX)

    @field_validator("variants")
    @classmethod
    def _skus_differ(cls, variants: list[VariantIn]) -> list[VariantIn]:
        if len({variant.sku for variant in variants}) != len(variants):
            raise ValueError("each variant needs a sku of its own")
        return variants

    @model_validator(mode="after")
    def _prices_agree(self) -> "ProductIn":
        if self.price is None and any(variant.price is None for variant in self.variants):
            raise ValueError("a variant without a price needs the product's")
        if self.price is not None and self.price != min(self.variant_prices()):
            raise ValueError("price must be the lowest of the variants'")
        return self

    def variant_prices(self) -> list[int]:
        """Minor units, one for each variant."""
        return [variant.price if variant.price is not None else self.price or 0 for variant in self.variants]


class VariantOut(CamelOut):
    """One thing that can be bought. `available` may be a second old."""

    sku: str = Field(examples=["LAPTOP-001"])
    options: dict[str, str]
    price: MoneyOut
    available: int = Field(examples=[25])

    @classmethod
    def of(cls, variant: VariantRecord, available: int) -> "VariantOut":
        """With the units that can be bought."""
        return cls(sku=variant.sku, options=variant.options, price=variant.price_minor, available=available)


class ProductOut(CamelOut):
    """A product with its variants."""

    id: str = Field(examples=["prod-laptop-001"])
    name: str = Field(examples=["Premium Ultrabook Pro 15"])
    description: str
    brand: str
    price: MoneyOut
    currency: str = Field(examples=["USD"])
    categories: list[str]
    attributes: dict[str, Any]
    images: list[str]
    variants: list[VariantOut]
    version: int

    @classmethod
    def of(cls, product: ProductRecord, available: Mapping[str, int]) -> "ProductOut":
        """With the units that can be bought, by SKU."""
        # Built without checking: it was checked when it was stored.
        return cls.model_construct(
            id=product.id,
            name=product.name,
            description=product.description,
            brand=product.brand,
            price=price_minor(product),
            currency=product.currency,
            categories=list(product.categories),
            attributes=product.attributes,
            images=list(product.images),
            variants=[VariantOut.of(variant, available.get(variant.sku, 0)) for variant in product.variants],
            version=product.version,
        )


class CategoryIn(CamelIn):
    """A category to make."""

    id: CategoryId | None = Field(None, examples=["electronics"], description="a slug; made from the name if absent")
    name: Title = Field(examples=["Electronics"])


class CategoryNameIn(CamelIn):
    """A category's new name."""

    name: Title = Field(examples=["Electronics"])


class CategoryOut(CamelOut):
    """A category and how many products it has."""

    id: str = Field(examples=["electronics"])
    name: str = Field(examples=["Electronics"])
    product_count: int = Field(examples=[12])

    @classmethod
    def of(cls, category: CategoryRecord) -> "CategoryOut":
        """As stored."""
        return cls(id=category.id, name=category.name, product_count=category.product_count)
