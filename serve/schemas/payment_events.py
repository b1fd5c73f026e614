"""What the payment gateway calls back with. Only what we look at: the rest of an event is not read."""

from typing import Any, Final

import msgspec
from pydantic import Field

from actors.domain.order import order_of_key
from actors.gateway.port import KEY_TAG
from serve.schemas.base import CamelOut
from serve.schemas.orders import is_order_id

KEY_CHARACTERS_MAX: Final = 100
HEEDED: Final = frozenset(
    {
        "payment_intent.succeeded",
        "payment_intent.payment_failed",
        "payment_intent.canceled",
        "charge.succeeded",
        "charge.failed",
    }
)


class _Subject(msgspec.Struct):
    metadata: dict[str, Any] | None = None


class _Data(msgspec.Struct):
    object: _Subject


class GatewayEvent(msgspec.Struct):
    """An event: what happened, and to what. Amounts and statuses in it are not believed, so they are not read."""

    type: str
    data: _Data

    @property
    def payment_key(self) -> str | None:
        """The key of the payment attempt that it may be news about; None if it is none of ours."""
        key = (self.data.object.metadata or {}).get(KEY_TAG)
        if self.type not in HEEDED or not isinstance(key, str) or len(key) > KEY_CHARACTERS_MAX:
            return None
        return key if is_order_id(order_of_key(key)) else None


DECODER: Final = msgspec.json.Decoder(GatewayEvent)


class ReceivedOut(CamelOut):
    """The event arrived. That is all that its sender has to know."""

    received: bool = Field(True, examples=[True])
