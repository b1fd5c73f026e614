"""A product, and how an administrator makes it over HTTP."""

from typing import Any

from persistence.records import NewEvent, ShardBatch, StockRow
from tests.http_app import World

LAPTOP: dict[str, Any] = {
    "id": "prod-laptop-001",
    "name": "Premium Ultrabook Pro 15",
    "brand": "Northpeak",
    "currency": "USD",
    "categories": ["computers"],
    "attributes": {"weightKg": 1.46, "backlit": True, "ports": ["HDMI"]},
    "images": ["https://cdn.example/laptop.png"],
    "variants": [
        {"sku": "LAPTOP-001", "options": {"memory": "16 GB"}, "price": 1299.99},
        {"sku": "LAPTOP-002", "options": {"memory": "32 GB"}, "price": 1600},
    ],
}


async def create(world: World, **changes: Any) -> dict[str, Any]:
    answer = await world.client.post("/api/v1/products", json={**LAPTOP, **changes}, headers=await world.admin())
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def stock(world: World, sku: str, on_hand: int, reserved: int = 0) -> None:
    journal = world.stores.journals["inventory"]
    head = await journal.fence(0, 1)
    seq = head.seq if head else 0
    event = NewEvent(
        entity_type="sku", entity_id=sku, version=1, type="t", schema_version=1, body=b"{}", command_id="c",
        correlation_id="c", causation_id="", traceparent="", at_ms=1,
    )  # fmt: skip
    view = StockRow(sku=sku, version=1, on_hand=on_hand, reserved=reserved, sold=0)
    batch = ShardBatch(shard=0, epoch=1, expected_seq=seq, low_water=0, events=(event,), views=(view,))
    assert await journal.append([batch]) == {(0, 1)}
