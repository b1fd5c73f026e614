"""Events of things without a journal."""

from typing import Literal

from persistence.records.journal import NewEvent
from persistence.records.row import Row

OutboxService = Literal["carts", "catalog", "users"]


class OutboxRow(Row, frozen=True, kw_only=True):
    """An event of something without a journal, waiting to be published."""

    id: int
    topic: str
    event: NewEvent


OWN_TOPICS = {"notification": "notification-events"}
"""Topic by entity type, of what shares another service's outbox; all others go to their service's."""
