"""Messages of a broker's topics."""

from persistence.records.row import Row


class TopicSpec(Row, frozen=True, kw_only=True):
    """A topic that must be there. `compacted`: of each key the broker may keep the last message only."""

    name: str
    compacted: bool = False


class EventMessage(Row, frozen=True, kw_only=True):
    """A message on its way to a topic. Messages of one topic and key keep their order."""

    topic: str
    key: str
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()


class ReceivedMessage(Row, frozen=True, kw_only=True):
    """A message as a topic holds it. Whoever else writes to a topic may leave out key or value."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()
