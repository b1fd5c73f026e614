"""Events as journals and outboxes hold them: every kind of every entity, once."""

import msgspec

from actors.registry import ENTITY_TYPES
from persistence.records import NewEvent
from tests.unit.domain.event_samples import SAMPLES

ENTITY_IDS = {"order": "ord_1", "payment": "ord_1", "sku": "A", "cart": "usr_1"}
_PRODUCT = {
    "id": "p1",
    "name": "Thing",
    "description": "A thing",
    "brand": "B",
    "price": 5.0,
    "currency": "USD",
    "categories": ["c1"],
    "attributes": {"colour": "red"},
    "images": [],
    "variants": [{"sku": "A", "options": {}, "price": 5.0, "priceVersion": 1}],
    "version": 1,
    "createdAtMs": 1_000_000,
}
_NOTIFICATION = {"notificationId": "ntf_1", "type": "welcome", "channel": "email", "orderId": "", "userId": "usr_1"}
OUTBOX_BODIES: dict[str, dict[str, object]] = {
    "product.created": _PRODUCT,
    "product.updated": _PRODUCT,
    "product.price_changed": _PRODUCT | {"changes": [{"sku": "A", "was": 6.0, "now": 5.0}]},
    "product.deleted": _PRODUCT | {"version": 2},
    "user.registered": {"userId": "usr_1", "role": "customer"},
    "user.password_changed": {"userId": "usr_1"},
    "user.role_changed": {"userId": "usr_1", "role": "admin"},
    "notification.sent": _NOTIFICATION,
    "notification.failed": _NOTIFICATION,
}
_OUTBOX_IDS = {"product": "p1", "user": "usr_1", "notification": "ntf_1"}


def stored(
    type_: str, body: bytes, entity_type: str, entity_id: str, *, version: int = 3, schema_version: int = 1
) -> NewEvent:
    return NewEvent(
        entity_type=entity_type,
        entity_id=entity_id,
        version=version,
        type=type_,
        schema_version=schema_version,
        body=body,
        command_id="cmd_1",
        correlation_id="req-1",
        causation_id="cmd_0",
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        at_ms=1_700_000_000_123,
    )


def all_events() -> list[NewEvent]:
    """Of every type that a journal or outbox can hold."""
    events = []
    for name, entity_type in ENTITY_TYPES.items():
        for event in SAMPLES[name]:
            tag, schema_version, body = entity_type.events.encode(event)
            events.append(stored(tag, body, name, ENTITY_IDS[name], schema_version=schema_version))
    for type_, fields in OUTBOX_BODIES.items():
        entity = type_.partition(".")[0]
        events.append(stored(type_, msgspec.json.encode(fields), entity, _OUTBOX_IDS[entity]))
    return events
