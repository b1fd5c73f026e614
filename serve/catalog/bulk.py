"""Puts many products into the catalog at once: new ones, changed ones; those that are the same stay untouched."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from persistence.errors import AlreadyExists, StaleVersion, WriteRefused
from persistence.ports import Catalog
from persistence.records import ProductRecord, ProductWrite
from serve.catalog.documents import WRITE_ATTEMPTS_MAX, check_currency, document, is_same, written
from serve.catalog.writes import check_categories, skus_of_others
from serve.errors import Problem
from serve.events import Cause
from serve.schemas.catalog import ProductIn

Location = tuple[str | int, ...]
"""A member of a product, such as ("variants", 0, "sku"); () is the product."""

_TAKEN: Final = "was given before, to a product that was deleted; or another product of the file claims a SKU of it"
_CONTENDED: Final = "somebody else keeps changing the product: import it again"


@dataclass(frozen=True, slots=True)
class Accepted:
    """What became of a product that is in the catalog now (or would be, in a trial)."""

    change: Literal["created", "changed", "unchanged"]


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a product was not taken: (member, reason), at least one. Nothing of it was written."""

    faults: tuple[tuple[Location, str], ...]


Outcome = Accepted | Refused


@dataclass(slots=True, kw_only=True)
class BulkWriter:
    """Guarantees: each product is written whole, with its price versions and its event, or not at all.

    The rules are the routes': the same bodies, the same documents, the same checks of the store. `trial` writes nothing
    and judges each product against the catalog as it is. Raises `StoreError` if the store fails; then what was asked
    for is in it whole or not at all, and may be asked for again.
    """

    catalog: Catalog
    cause: Cause
    currency: str
    known_categories: frozenset[str]
    trial: bool = False
    _outcomes: dict[str, Outcome] = field(init=False, default_factory=dict)

    async def put(self, bodies: Sequence[ProductIn], at_ms: int) -> Mapping[str, Outcome]:
        """Put products that have ids, each once; id → what became of it."""
        self._outcomes = {}
        left = {body.id: body for body in bodies if body.id is not None}
        assert len(left) == len(bodies), "each product of a batch has an id of its own"
        for attempt in range(WRITE_ATTEMPTS_MAX):
            left = await self._put_once(left, at_ms, attempt)
            if not left:
                break
        for product_id in left:
            self._outcomes[product_id] = Refused((((), _CONTENDED),))
        return self._outcomes

    async def _put_once(self, bodies: Mapping[str, ProductIn], at_ms: int, attempt: int) -> dict[str, ProductIn]:
        """What must be tried once more: somebody changed it between our read and our write."""
        held = await self.catalog.products_by_id(list(bodies))
        writes: list[ProductWrite] = []
        for product_id, body in bodies.items():
            write = self._planned(product_id, body, held.get(product_id), at_ms, attempt)
            if write is not None:
                writes.append(write)
        refused = await self._refused_in_trial(writes) if self.trial else await self.catalog.save_products(writes)
        again = {}
        for write in writes:
            product = write.product
            match refused.get(product.id):
                case None:
                    self._outcomes[product.id] = Accepted("changed" if write.expected_version else "created")
                case StaleVersion():
                    again[product.id] = bodies[product.id]
                case AlreadyExists():
                    self._outcomes[product.id] = await self._taken(product, created=write.expected_version == 0)
                case other:
                    self._outcomes[product.id] = Refused((((), f"the store refused it: {other}"),))
        return again

    def _planned(
        self, product_id: str, body: ProductIn, old: ProductRecord | None, at_ms: int, attempt: int
    ) -> ProductWrite | None:
        try:
            check_currency(body, self.currency)
            new = document(product_id, body, old, currency=self.currency, at_ms=at_ms, attempt=attempt)
            if old is not None and is_same(old, new):
                self._outcomes[product_id] = Accepted("unchanged")
                return None
            if not self.known_categories.issuperset(body.categories):
                check_categories(body, self.known_categories.union(old.categories if old is not None else ()))
        except Problem as problem:
            self._outcomes[product_id] = Refused(faults_of(problem))
            return None
        return written(new, old, self.cause)

    async def _taken(self, product: ProductRecord, *, created: bool) -> Refused:
        others = await skus_of_others(self.catalog, product)
        faults: list[tuple[Location, str]] = [
            (("variants", index, "sku"), f"{variant.sku} belongs to {others[variant.sku]}")
            for index, variant in enumerate(product.variants)
            if variant.sku in others
        ]
        if not faults:
            faults.append((("id",), _TAKEN) if created else ((), _CONTENDED))
        return Refused(tuple(faults))

    async def _refused_in_trial(self, writes: Sequence[ProductWrite]) -> Mapping[str, WriteRefused]:
        """As far as it can be told without writing: whether its SKUs are free."""
        skus = [variant.sku for write in writes for variant in write.product.variants]
        holders = await self.catalog.prices(skus)
        return {
            write.product.id: AlreadyExists("a SKU belongs to another product")
            for write in writes
            if any(
                variant.sku in holders and holders[variant.sku].product_id != write.product.id
                for variant in write.product.variants
            )
        }


def faults_of(problem: Problem) -> tuple[tuple[Location, str], ...]:
    """The members that a 422 names, and why; a problem without any is about the product."""
    errors = problem.extensions.get("errors")
    if not isinstance(errors, list):
        return (((), problem.detail or problem.title),)
    return tuple((_location(error["pointer"]), error["detail"]) for error in errors)


def _location(pointer: str) -> Location:
    parts = (part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:])
    return tuple(int(part) if part.isdigit() else part for part in parts)
