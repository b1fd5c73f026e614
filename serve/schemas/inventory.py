"""Bodies of inventory."""

from typing import Annotated, Final

from pydantic import Field, StringConstraints

from actors.domain.inventory import ON_HAND_MAX, QUANTITY_MAX, Reserved, StockLevel
from persistence.records import StockRow
from serve.clock import iso
from serve.schemas.base import CamelIn, CamelOut

TTL_DEFAULT_S: Final = 900
TTL_MAX_S: Final = 3_600
REASON_CHARACTERS_MAX: Final = 500


class ReserveIn(CamelIn):
    """Set units aside for `ttl_seconds`; `order_id` is the caller's own name for what they are for."""

    quantity: Annotated[int, Field(ge=1, le=QUANTITY_MAX, examples=[1])]
    order_id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:-]{1,128}$")] = Field(examples=["external-1"])
    ttl_seconds: Annotated[int, Field(ge=1, le=TTL_MAX_S)] = TTL_DEFAULT_S


class ReleaseIn(CamelIn):
    """Give a reservation back."""

    reservation_id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:-]{1,200}$")]


class AdjustIn(CamelIn):
    """Units received, or lost (negative)."""

    delta: Annotated[int, Field(ge=-ON_HAND_MAX, le=ON_HAND_MAX, examples=[25])]
    reason: Annotated[str, StringConstraints(strip_whitespace=True, max_length=REASON_CHARACTERS_MAX)] = Field(
        examples=["delivery"]
    )


class ReservationOut(CamelOut):
    """Units that are set aside until `expires_at`."""

    reservation_id: str
    sku: str = Field(examples=["LAPTOP-001"])
    quantity: int
    expires_at: str

    @classmethod
    def of(cls, reserved: Reserved, reservation_id: str) -> "ReservationOut":
        """As reserved, under the id that clients know it by."""
        return cls(
            reservation_id=reservation_id,
            sku=reserved.sku,
            quantity=reserved.quantity,
            expires_at=iso(reserved.expires_at_ms),
        )


class StockOut(CamelOut):
    """The stock of one SKU: `available` = `on_hand` less `reserved`."""

    sku: str = Field(examples=["LAPTOP-001"])
    on_hand: int
    reserved: int
    available: int
    version: int

    @classmethod
    def of_row(cls, row: StockRow) -> "StockOut":
        """As the view has it."""
        return cls(
            sku=row.sku,
            on_hand=row.on_hand,
            reserved=row.reserved,
            available=row.on_hand - row.reserved,
            version=row.version,
        )

    @classmethod
    def of_level(cls, level: StockLevel) -> "StockOut":
        """As the SKU answered."""
        return cls(
            sku=level.sku,
            on_hand=level.on_hand,
            reserved=level.reserved,
            available=level.available,
            version=level.version,
        )
