"""Accounts, messages to customers, and what administrators did."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from persistence.records import AdminRecord, NewEvent, NotificationRow, RefreshTokenRecord, UserRecord, UserTotals


class Users(Protocol):
    """Accounts, refresh tokens, and their transactional outbox."""

    async def add(self, user: UserRecord, event: NewEvent) -> None:
        """Create an account. Raises `AlreadyExists` if the e-mail is taken (case-insensitive)."""

    async def by_id(self, user_id: str) -> UserRecord | None:
        """One account."""

    async def by_email(self, email_key: str) -> UserRecord | None:
        """One account by its case-folded e-mail."""

    async def by_ids(self, user_ids: Sequence[str]) -> Mapping[str, UserRecord]:
        """The accounts that exist, by id."""

    async def rename(self, user_id: str, first_name: str, last_name: str) -> UserRecord | None:
        """Change the names; None if there is no such account."""

    async def set_password(self, user_id: str, expected_version: int, password_hash: str, event: NewEvent) -> None:
        """Store a new hash, raise the password version, drop all refresh tokens. Raises `StaleVersion`."""

    async def set_role(self, user_id: str, expected_version: int, role: str, event: NewEvent) -> None:
        """Change the role, raise the password version, drop all refresh tokens. Raises `StaleVersion`."""

    async def password_versions(self, user_ids: Sequence[str]) -> Mapping[str, int]:
        """The current password version of each account that exists."""

    async def add_refresh(self, token: RefreshTokenRecord) -> None:
        """Remember a refresh token."""

    async def use_refresh(self, token_hash: str, now_ms: int) -> RefreshTokenRecord | None:
        """Mark it used and return it as it was *before*: `used_at_ms` not None means reuse. None: unknown, or dropped."""

    async def drop_family(self, family: str) -> None:
        """Revoke every token of a family, also one that is added to it afterwards."""

    async def totals(self, since_ms: int) -> UserTotals:
        """Counts of the customers' accounts; new are those made at `since_ms` or later."""

    async def close(self) -> None:
        """Let go of connections."""

    async def list(
        self, *, email: str | None, role: str | None, limit: int, cursor: str | None
    ) -> tuple[list[UserRecord], str | None]:
        """Newest first, and the next cursor; `email` is the beginning of a case-folded one.

        Raises `ValueError` for a cursor that this adapter did not make.
        """


class Notifications(Protocol):
    """Messages to customers: the built-in mailbox, and what is to be sent."""

    async def add(self, rows: Sequence[NotificationRow], events: Sequence[NewEvent] = ()) -> frozenset[str]:
        """Insert each unless its event has one on that channel; returns the ids that were inserted.

        An event goes to the outbox, in the same statement, if the row that it names (`entity_id`) was inserted.
        """

    async def take_due(self, now_ms: int, lease_ms: int, limit: int) -> list[NotificationRow]:
        """Pending rows that are due, oldest first. Each is taken: not due again before `now_ms + lease_ms`.

        `attempts` counts this one already.
        """

    async def sent(self, notification_id: str, at_ms: int, event: NewEvent) -> None:
        """Mark it sent, with its event in the outbox. Does nothing unless it is pending."""

    async def retry(self, notification_id: str, due_at_ms: int, error: str) -> None:
        """Make it due again. Does nothing unless it is pending."""

    async def fail(self, notification_id: str, at_ms: int, error: str, event: NewEvent) -> None:
        """Give it up, with its event in the outbox. Does nothing unless it is pending."""

    async def by_id(self, notification_id: str) -> NotificationRow | None:
        """One message."""

    async def list(
        self, *, order_id: str | None, status: str | None, limit: int, cursor: str | None
    ) -> tuple[list[NotificationRow], str | None]:
        """Newest first, and the next cursor. Raises `ValueError` for a cursor that this adapter did not make."""


class Mailer(Protocol):
    """Hands the messages of one channel over to whoever delivers them."""

    async def send(self, message: NotificationRow) -> None:
        """Returns when it was taken over. Raises `NotDelivered`; it was then perhaps taken over all the same.

        The same message carries the same id every time it is sent, so that its receiver can drop a repeat.
        """

    async def close(self) -> None:
        """Let go of connections."""


class AdminRecords(Protocol):
    """What administrators and services did, append-only."""

    async def add(self, record: AdminRecord) -> None:
        """Keep one."""

    async def list(self, *, actor: str | None, limit: int, cursor: str | None) -> tuple[list[AdminRecord], str | None]:
        """Newest first, and the next cursor. Raises `ValueError` for a cursor that this adapter did not make."""
