"""Accounts and refresh tokens in PostgreSQL."""

from collections.abc import Mapping, Sequence

from msgspec.structs import astuple

from persistence.cursors import decode_number_cursor, encode_cursor
from persistence.errors import StaleVersion
from persistence.postgres.database import Database
from persistence.postgres.queries import load_queries
from persistence.records import NewEvent, RefreshTokenRecord, UserRecord, UserTotals

_FROM_THE_NEWEST = (2**63 - 1, "")


class PostgresUsers:
    """Schema `users`. Every change and its event are one statement."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load_queries("users")

    async def add(self, user: UserRecord, event: NewEvent) -> None:
        """Create an account."""
        await self._database.write(self._sql["add"], *astuple(user), *astuple(event))

    async def by_id(self, user_id: str) -> UserRecord | None:
        """One account."""
        records = await self._database.read(self._sql["by_id"], user_id)
        return UserRecord(**records[0]) if records else None

    async def by_email(self, email_key: str) -> UserRecord | None:
        """One account by its case-folded e-mail."""
        records = await self._database.read(self._sql["by_email"], email_key)
        return UserRecord(**records[0]) if records else None

    async def by_ids(self, user_ids: Sequence[str]) -> Mapping[str, UserRecord]:
        """The accounts that exist, by id."""
        records = await self._database.read(self._sql["by_ids"], list(user_ids))
        return {record["id"]: UserRecord(**record) for record in records}

    async def rename(self, user_id: str, first_name: str, last_name: str) -> UserRecord | None:
        """Change the names; None if there is no such account."""
        records = await self._database.write(self._sql["rename"], user_id, first_name, last_name)
        return UserRecord(**records[0]) if records else None

    async def set_password(self, user_id: str, expected_version: int, password_hash: str, event: NewEvent) -> None:
        """Store a new hash, raise the password version, drop all refresh tokens."""
        changed = await self._database.write(
            self._sql["set_password"], user_id, expected_version, password_hash, *astuple(event)
        )
        if not changed:
            raise StaleVersion(f"{user_id} has another password version")

    async def set_role(self, user_id: str, expected_version: int, role: str, event: NewEvent) -> None:
        """Change the role, raise the password version, drop all refresh tokens."""
        changed = await self._database.write(self._sql["set_role"], user_id, expected_version, role, *astuple(event))
        if not changed:
            raise StaleVersion(f"{user_id} has another password version")

    async def password_versions(self, user_ids: Sequence[str]) -> Mapping[str, int]:
        """The current password version of each account that exists."""
        records = await self._database.read(self._sql["password_versions"], list(user_ids))
        return {record["id"]: record["password_version"] for record in records}

    async def add_refresh(self, token: RefreshTokenRecord) -> None:
        """Remember a refresh token."""
        await self._database.write(self._sql["add_refresh"], *astuple(token))

    async def use_refresh(self, token_hash: str, now_ms: int) -> RefreshTokenRecord | None:
        """Mark it used and return it as it was before."""
        records = await self._database.write(self._sql["use_refresh"], token_hash, now_ms)
        return RefreshTokenRecord(**records[0]) if records else None

    async def drop_family(self, family: str) -> None:
        """Revoke every token of a family."""
        await self._database.write(self._sql["drop_family"], family)

    async def totals(self, since_ms: int) -> UserTotals:
        """Counts of the customers' accounts. Looks at every account: ask seldom."""
        return UserTotals(**(await self._database.read(self._sql["totals"], since_ms))[0])

    async def close(self) -> None:
        """Nothing: `Stores.close` closes the connections that all adapters share."""

    async def list(
        self, *, email: str | None, role: str | None, limit: int, cursor: str | None
    ) -> tuple[list[UserRecord], str | None]:
        """Newest first, and the next cursor."""
        created_at_ms, user_id = _FROM_THE_NEWEST if cursor is None else decode_number_cursor("users", cursor)
        # One row more than asked tells whether another page follows.
        records = await self._database.read(self._sql["list"], email, role, created_at_ms, user_id, limit + 1)
        page = [UserRecord(**record) for record in records[:limit]]
        more = len(records) > limit
        return page, encode_cursor("users", page[-1].created_at_ms, page[-1].id) if more else None
