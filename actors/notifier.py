"""Tells customers what happened: one message a channel for every event that they want to hear of."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import cast

import jinja2
import msgspec
import structlog

from actors.codec import UnknownEvent
from actors.domain.ids import is_account
from actors.domain.order import Order
from actors.notifications.occasions import REGISTERED, TYPE_OF, MessageType, event_id, is_told
from actors.notifications.records import ended, notification_id
from actors.notifications.render import Rendered, Renderer
from actors.notifications.settings import NotificationSettings
from actors.notifications.wording import ToldEvent
from actors.registry import ENTITY_TYPES
from persistence.errors import WriteRefused
from persistence.records import Channel, JournalService, NewEvent, NotificationRow, OrderRow, OutboxService, UserRecord
from persistence.stores import Stores

log = structlog.get_logger(__name__)

ROWS_A_WRITE_MAX = 100
CHARACTERS_A_WRITE_MAX = 2_000_000
_UNREADABLE = (UnknownEvent, msgspec.MsgspecError, jinja2.TemplateError)


class Notifier:
    """Follows the orders' journal and empties the users' outbox.

    Guarantees: however often an event comes, it has one message a channel: its id is made of the event's, and the store
    takes each once. A channel with a mailer gets a row to be sent (`Sender`), one without a row that is sent already:
    the built-in mailbox. Events that are a day old are no news and are passed over, as are those that cannot be told:
    an order without an address, an account that is gone, data of newer code. Nothing of an event's body is ever logged:
    it has addresses and payment tokens.
    """

    def __init__(self, stores: Stores, now_ms: Callable[[], int], settings: NotificationSettings | None = None) -> None:
        self._stores = stores
        self._now_ms = now_ms
        self._settings = settings or NotificationSettings()
        self._renderer = Renderer(self._settings.shop_name)

    @property
    def name(self) -> str:
        """See `Consumer`."""
        return "notifier"

    @property
    def journals(self) -> Sequence[JournalService]:
        """See `Consumer`."""
        return ("orders",)

    @property
    def outboxes(self) -> Sequence[OutboxService]:
        """See `Consumer`."""
        return ("users",)

    async def handle(self, events: Sequence[NewEvent]) -> None:
        """Store the messages of these events. Raises `StoreError`: the events come again."""
        now_ms = self._now_ms()
        wanted = [event for event in events if _is_wanted(event)]
        told = [event for event in wanted if now_ms - event.at_ms <= self._settings.event_age_max_ms]
        if len(told) < len(wanted):
            log.warning("notifier.too_old", events=len(wanted) - len(told))
        if not told:
            return
        orders = await self._stores.orders.load(sorted({e.entity_id for e in told if e.entity_type == "order"}))
        users = await self._stores.users.by_ids(sorted(_accounts(told, orders)))
        rows: list[NotificationRow] = []
        for event in told:
            try:
                rows += self._messages(event, orders, users, now_ms)
            except _UNREADABLE as error:
                _pass_over(event, type(error).__name__)
        for batch in _batches(rows):
            await self._add(batch, now_ms)

    def _messages(
        self, event: NewEvent, orders: Mapping[str, OrderRow], users: Mapping[str, UserRecord], now_ms: int
    ) -> list[NotificationRow]:
        if event.type == REGISTERED:
            return self._welcome(event, users, now_ms)
        row = orders.get(event.entity_id)
        if row is None:
            return _pass_over(event, "no such order")
        order_type = ENTITY_TYPES["order"]
        state: Order = order_type.decode_state(row.state)
        happened = cast("ToldEvent", order_type.events.decode(event.type, event.schema_version, event.body))
        if not is_told(happened, state):
            return []
        user = users.get(state.user_id)
        if user is None and is_account(state.user_id):
            return _pass_over(event, "the account is gone")
        email = state.email or (user.email if user else "")
        rendered = self._renderer.order(happened, state, user.first_name if user else state.shipping_address.name)
        rows = []
        if email:
            rows.append(self._row(event, "email", email, rendered, user, now_ms))
        if state.shipping_address.phone:
            rows.append(self._row(event, "sms", state.shipping_address.phone, rendered, user, now_ms))
        return rows or _pass_over(event, "no address")

    def _welcome(self, event: NewEvent, users: Mapping[str, UserRecord], now_ms: int) -> list[NotificationRow]:
        user = users.get(event.entity_id)
        if user is None:
            return _pass_over(event, "the account is gone")
        return [self._row(event, "email", user.email, self._renderer.welcome(user.first_name), user, now_ms)]

    def _row(
        self,
        event: NewEvent,
        channel: Channel,
        recipient: str,
        rendered: Rendered,
        user: UserRecord | None,
        now_ms: int,
    ) -> NotificationRow:
        source = event_id(event.entity_type, event.entity_id, event.version)
        kept = channel not in self._stores.mailers
        message_type: MessageType = TYPE_OF.get(event.type, "welcome")
        return NotificationRow(
            id=notification_id(source, channel),
            event_id=source,
            type=message_type,
            channel=channel,
            recipient=recipient,
            subject=rendered.subject if channel == "email" else "",
            text_body=rendered.text if channel == "email" else rendered.sms,
            html_body=rendered.html if channel == "email" else "",
            # A guest's id is the right to its cart and orders: it stays where those are.
            user_id=user.id if user else "",
            order_id=event.entity_id if event.entity_type == "order" else "",
            status="sent" if kept else "pending",
            attempts=0,
            due_at_ms=now_ms,
            # When it happened, so that an order's messages are listed and sent in its order.
            created_at_ms=event.at_ms,
            ended_at_ms=now_ms if kept else None,
            traceparent=event.traceparent,
            correlation_id=event.correlation_id,
        )

    async def _add(self, rows: Sequence[NotificationRow], now_ms: int) -> None:
        events = [ended(row, "sent", now_ms) for row in rows if row.status == "sent"]
        try:
            await self._stores.notifications.add(rows, events)
        except WriteRefused:
            if len(rows) == 1:
                log.warning("notifier.refused", event_id=rows[0].event_id, channel=rows[0].channel)
                return
            # One that the store does not take must not keep back the others.
            for row in rows:
                await self._add([row], now_ms)


def _is_wanted(event: NewEvent) -> bool:
    return event.type == REGISTERED or (event.entity_type == "order" and event.type in TYPE_OF)


def _accounts(told: Sequence[NewEvent], orders: Mapping[str, OrderRow]) -> set[str]:
    buyers = {row.user_id for row in orders.values() if is_account(row.user_id)}
    return buyers | {event.entity_id for event in told if event.type == REGISTERED}


def _pass_over(event: NewEvent, why: str) -> list[NotificationRow]:
    source = event_id(event.entity_type, event.entity_id, event.version)
    log.warning("notifier.passed_over", event_id=source, type=event.type, why=why)
    return []


def _batches(rows: Sequence[NotificationRow]) -> Iterator[list[NotificationRow]]:
    """What one statement carries: so many rows, and so much text."""
    batch: list[NotificationRow] = []
    characters = 0
    for row in rows:
        size = len(row.text_body) + len(row.html_body)
        if batch and (len(batch) == ROWS_A_WRITE_MAX or characters + size > CHARACTERS_A_WRITE_MAX):
            yield batch
            batch, characters = [], 0
        batch.append(row)
        characters += size
    if batch:
        yield batch
