"""The address of an entity, and which part of it decides where it lives."""

from dataclasses import dataclass

KEY_BYTES_MAX = 256


@dataclass(frozen=True, slots=True)
class EntityAddress:
    """One entity. Entities with the same `routing_key` live together (an order and its payment)."""

    entity_type: str
    entity_id: str
    routing_key: str = ""

    def __post_init__(self) -> None:
        if not self.entity_type or not self.entity_id:
            raise ValueError("an entity has a type and an id")
        if not self.routing_key:
            object.__setattr__(self, "routing_key", self.entity_id)
        if max(len(self.entity_id.encode()), len(self.routing_key.encode())) > KEY_BYTES_MAX:
            raise ValueError(f"an entity's keys have at most {KEY_BYTES_MAX} bytes")
