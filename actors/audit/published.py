"""I10 and I14: what the bridge has put behind it is in the topics, complete and, by first occurrences, in order.

    cursors ─► journals up to them: the last version of each entity ─► topics up to their end now ─► compare

Cursors move after the acknowledgement, so whatever lies before them must be there, on a platform under load, too.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from actors.audit.facts import Findings
from actors.events.cloud_events import Unreadable, read
from actors.events.facts import ENTITIES
from actors.kafka_bridge import NAME
from persistence.ports import EventBroker, Journal
from persistence.records import JournalService, ReceivedMessage
from persistence.stores import Stores

ENTITY_OF: Final[Mapping[JournalService, str]] = {"orders": "order", "payments": "payment", "inventory": "sku"}
_PAGE_EVENTS: Final = 2_000


@dataclass(slots=True)
class Published:
    """What was compared, and what was wrong. `waiting`: events that the bridge had not put behind it."""

    findings: Findings = field(default_factory=Findings)
    waiting: int = 0
    events: int = 0
    messages: int = 0
    repeated: int = 0
    trimmed: tuple[str, ...] = ()
    """Topics that have forgotten their oldest messages: of an entity there is judged what is left."""


async def check_published(stores: Stores, broker: EventBroker) -> Published:
    """Compare the three journals with their topics. Raises `StoreError`."""
    result = Published()
    for service, entity in ENTITY_OF.items():
        journal = stores.journals[service]
        positions = await stores.cursors[service].positions(NAME)
        heads = await journal.heads()
        result.waiting += sum(max(0, head.seq - positions.get(head.shard, 0)) for head in heads)
        wanted = await _versions(journal, entity, positions)
        result.events += sum(wanted.values())
        topic = _Topic(ENTITIES[entity].topic)
        async for message in broker.read([topic.name], from_start=True, until_end=True):
            topic.feed(message)
        topic.compare(wanted)
        result.findings.add(topic.findings)
        result.messages += topic.messages
        result.repeated += topic.repeated
        if topic.trimmed:
            result.trimmed = (*result.trimmed, topic.name)
    return result


async def _versions(journal: Journal, entity: str, positions: Mapping[int, int]) -> dict[str, int]:
    """The last version of each entity up to these seqs, by subject; versions have no gaps (I8)."""
    last: dict[str, int] = {}
    for shard, last_seq in sorted(positions.items()):
        behind = 0
        while behind < last_seq:
            page = await journal.read(shard, behind, min(_PAGE_EVENTS, last_seq - behind))
            if not page:
                break
            last |= {f"{entity}:{event.entity_id}": event.version for event in page}
            behind = page[-1].seq
    return last


class _Topic:
    """Takes in a topic's messages, each partition in order."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.findings = Findings()
        self.messages = 0
        self.repeated = 0
        self.trimmed = False
        self._last: dict[str, int] = {}
        self._begun: dict[int, bool] = defaultdict(bool)

    def feed(self, message: ReceivedMessage) -> None:
        """The next message of its partition."""
        self.messages += 1
        if not self._begun[message.partition]:
            self._begun[message.partition] = True
            self.trimmed |= message.offset > 0
        try:
            event = read(message.value or b"")
        except Unreadable:
            return  # somebody else's; the dead letters tell of it
        if event is None:
            return
        last = self._last.get(event.subject)
        begins = last is None and self.trimmed
        if begins or event.sequence == (last or 0) + 1:
            self._last[event.subject] = event.sequence
        elif event.sequence <= (last or 0):
            self.repeated += 1
        else:
            place = f"{message.topic}/{message.partition}/{message.offset}"
            self.findings.breach("I14", event.subject, f"{event.sequence} follows {last or 0} at {place}")
            self._last[event.subject] = event.sequence

    def compare(self, wanted: Mapping[str, int]) -> None:
        """With the last version of each subject that must be there."""
        for subject, version in wanted.items():
            self.findings.checked["I10"] += 1
            self.findings.checked["I14"] += 1
            found = self._last.get(subject, 0)
            if found < version and not (found == 0 and self.trimmed):
                self.findings.breach("I10", subject, f"published up to {found} of {version}")
