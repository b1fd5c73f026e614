"""Accounts and refresh tokens in memory."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from persistence.cursors import decode_number_cursor, encode_cursor
from persistence.errors import AlreadyExists, StaleVersion, WriteRefused
from persistence.memory.constraints import check_events, check_version
from persistence.memory.seams import Seams
from persistence.memory.tables import UserTables
from persistence.records import NewEvent, RefreshTokenRecord, UserRecord, UserTotals


@dataclass(slots=True)
class MemoryUsers:
    """Accounts, refresh tokens, and their outbox."""

    tables: UserTables
    seams: Seams = field(default_factory=Seams)

    async def add(self, user: UserRecord, event: NewEvent) -> None:
        """Create an account."""
        await self.seams.call("users.add", lambda: self._add(user, event))

    async def by_id(self, user_id: str) -> UserRecord | None:
        """One account."""
        return await self.seams.call("users.by_id", lambda: self.tables.users.get(user_id))

    async def by_email(self, email_key: str) -> UserRecord | None:
        """One account by its case-folded e-mail."""
        return await self.seams.call(
            "users.by_email", lambda: self.tables.users.get(self.tables.ids_by_email.get(email_key, ""))
        )

    async def by_ids(self, user_ids: Sequence[str]) -> Mapping[str, UserRecord]:
        """The accounts that exist, by id."""
        users = self.tables.users
        return await self.seams.call(
            "users.by_ids", lambda: {user_id: users[user_id] for user_id in user_ids if user_id in users}
        )

    async def rename(self, user_id: str, first_name: str, last_name: str) -> UserRecord | None:
        """Change the names; None if there is no such account."""
        return await self.seams.call("users.rename", lambda: self._rename(user_id, first_name, last_name))

    async def set_password(self, user_id: str, expected_version: int, password_hash: str, event: NewEvent) -> None:
        """Store a new hash, raise the password version, drop all refresh tokens."""
        await self.seams.call(
            "users.set_password",
            lambda: self._change(user_id, expected_version, event, password_hash=password_hash),
        )

    async def set_role(self, user_id: str, expected_version: int, role: str, event: NewEvent) -> None:
        """Change the role, raise the password version, drop all refresh tokens."""
        await self.seams.call("users.set_role", lambda: self._change(user_id, expected_version, event, role=role))

    async def password_versions(self, user_ids: Sequence[str]) -> Mapping[str, int]:
        """The current password version of each account that exists."""
        users = self.tables.users
        return await self.seams.call(
            "users.password_versions",
            lambda: {user_id: users[user_id].password_version for user_id in user_ids if user_id in users},
        )

    async def add_refresh(self, token: RefreshTokenRecord) -> None:
        """Remember a refresh token."""
        await self.seams.call("users.add_refresh", lambda: self._add_refresh(token))

    async def use_refresh(self, token_hash: str, now_ms: int) -> RefreshTokenRecord | None:
        """Mark it used and return it as it was before."""
        return await self.seams.call("users.use_refresh", lambda: self._use_refresh(token_hash, now_ms))

    async def drop_family(self, family: str) -> None:
        """Revoke every token of a family."""
        await self.seams.call("users.drop_family", lambda: self._drop_family(family))

    async def totals(self, since_ms: int) -> UserTotals:
        """Counts of the customers' accounts."""

        def count() -> UserTotals:
            made = [user.created_at_ms for user in self.tables.users.values() if user.role == "customer"]
            return UserTotals(customers=len(made), new=sum(at_ms >= since_ms for at_ms in made))

        return await self.seams.call("users.totals", count)

    async def close(self) -> None:
        """Nothing to let go of."""

    def _add(self, user: UserRecord, event: NewEvent) -> None:
        if user.email_key in self.tables.ids_by_email or user.id in self.tables.users:
            raise AlreadyExists("the e-mail is taken")
        check_version(user.password_version)
        check_events([event])
        self.tables.users[user.id] = user
        self.tables.ids_by_email[user.email_key] = user.id
        self.tables.outbox.add(event)

    def _rename(self, user_id: str, first_name: str, last_name: str) -> UserRecord | None:
        user = self.tables.users.get(user_id)
        if user is None:
            return None
        renamed = msgspec.structs.replace(user, first_name=first_name, last_name=last_name)
        self.tables.users[user_id] = renamed
        return renamed

    def _change(self, user_id: str, expected_version: int, event: NewEvent, **changes: str) -> None:
        user = self.tables.users.get(user_id)
        if user is None or user.password_version != expected_version:
            raise StaleVersion(f"{user_id} has another password version")
        check_events([event])
        self.tables.users[user_id] = msgspec.structs.replace(user, password_version=expected_version + 1, **changes)
        self._drop(lambda token: token.user_id == user_id)
        self.tables.outbox.add(event)

    def _add_refresh(self, token: RefreshTokenRecord) -> None:
        if token.token_hash in self.tables.refresh:
            raise AlreadyExists("this refresh token is known")
        if token.user_id not in self.tables.users:
            raise WriteRefused(f"no account {token.user_id}")
        self.tables.refresh[token.token_hash] = token

    def _use_refresh(self, token_hash: str, now_ms: int) -> RefreshTokenRecord | None:
        token = self.tables.refresh.get(token_hash)
        if token is None or token.family in self.tables.dropped_families:
            return None
        if token.used_at_ms is None:
            self.tables.refresh[token_hash] = msgspec.structs.replace(token, used_at_ms=now_ms)
        return token

    def _drop_family(self, family: str) -> None:
        self.tables.dropped_families.add(family)
        self._drop(lambda token: token.family == family)

    def _list(
        self, email: str | None, role: str | None, limit: int, behind: tuple[int, str] | None
    ) -> tuple[list[UserRecord], str | None]:
        users = [
            user
            for user in self.tables.users.values()
            if (email is None or user.email_key.startswith(email))
            and (role is None or user.role == role)
            and (behind is None or (user.created_at_ms, user.id) < behind)
        ]
        users.sort(key=lambda user: (user.created_at_ms, user.id), reverse=True)
        page = users[:limit]
        more = len(users) > limit
        return page, encode_cursor("users", page[-1].created_at_ms, page[-1].id) if more else None

    def _drop(self, matches: Callable[[RefreshTokenRecord], bool]) -> None:
        for token in [token for token in self.tables.refresh.values() if matches(token)]:
            del self.tables.refresh[token.token_hash]

    async def list(
        self, *, email: str | None, role: str | None, limit: int, cursor: str | None
    ) -> tuple[list[UserRecord], str | None]:
        """Newest first, and the next cursor."""
        behind = None if cursor is None else decode_number_cursor("users", cursor)
        return await self.seams.call("users.list", lambda: self._list(email, role, limit, behind))
