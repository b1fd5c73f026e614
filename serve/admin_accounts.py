"""Administrators' accounts from the command line: the role admin cannot be had over HTTP."""

import getpass
import secrets
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import bcrypt
import msgspec
from pydantic import TypeAdapter, ValidationError

from persistence.errors import AlreadyExists, StaleVersion
from persistence.records import AdminRecord, NewEvent, UserRecord
from persistence.settings import StoreSettings
from persistence.stores import Stores, open_stores
from serve.auth.passwords import password_bytes
from serve.auth.principal import ACCOUNT_PREFIX, Role
from serve.platform.errors import UserError
from serve.schemas.users import Email, NewPassword, PersonName, email_key, login_key

OPERATOR: Final = "operator"
"""The role in the records of what is done on the command line."""

_EMAIL: Final[TypeAdapter[str]] = TypeAdapter(Email)
_PASSWORD: Final[TypeAdapter[str]] = TypeAdapter(NewPassword)
_NAME: Final[TypeAdapter[str]] = TypeAdapter(PersonName)
_GENERATED_BYTES: Final = 18
_CREATED, _DONE, _MISSING, _TAKEN = 201, 200, 404, 409


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAdmin:
    """An administrator to be made. Raises `UserError` for what no account may have; none of it is repeated."""

    email: str
    password: str
    first_name: str
    last_name: str

    @classmethod
    def of(cls, email: str, password: str, first_name: str, last_name: str) -> "NewAdmin":
        """Checked as a registration is."""
        return cls(
            email=_checked(_EMAIL, email, "the e-mail address"),
            password=_checked(_PASSWORD, password, "the password"),
            first_name=_checked(_NAME, first_name, "the first name"),
            last_name=_checked(_NAME, last_name, "the last name"),
        )


class AdminAccounts:
    """Makes administrators, and gives and takes the role. Every call leaves a record, refused ones too.

    Guarantee: a change of role ends the account's tokens within a second, and its refresh tokens at once.
    """

    def __init__(self, stores: Stores, *, bcrypt_rounds: int) -> None:
        self._stores = stores
        self._bcrypt_rounds = bcrypt_rounds

    async def create(self, new: NewAdmin) -> UserRecord:
        """A new account with the role admin. Raises `UserError` if the address has one."""
        now_ms = await self._stores.ownership.now_ms()
        user = UserRecord(
            id=ACCOUNT_PREFIX + secrets.token_hex(16),
            email=new.email,
            email_key=email_key(new.email),
            password_hash=bcrypt.hashpw(password_bytes(new.password), bcrypt.gensalt(self._bcrypt_rounds)).decode(
                "ascii"
            ),
            password_version=1,
            first_name=new.first_name,
            last_name=new.last_name,
            role=Role.ADMIN.value,
            created_at_ms=now_ms,
        )
        event = _event(user.id, 1, "registered", {"userId": user.id, "role": user.role}, now_ms)
        try:
            await self._stores.users.add(user, event)
        except AlreadyExists:
            await self._record("admin create", "", _TAKEN)
            raise UserError(f"{new.email} has an account; make it an administrator's with: admin grant") from None
        await self._record("admin create", user.id, _CREATED)
        return user

    async def change_role(self, email: str, role: Role) -> bool:
        """Give the account this role; False if it has it already. Raises `UserError` if there is no such account."""
        deed = "admin grant" if role is Role.ADMIN else "admin revoke"
        user = await self._stores.users.by_email(login_key(email))
        if user is None:
            await self._record(deed, "", _MISSING)
            raise UserError(f"{email} has no account")
        changed = user.role != role.value
        if changed:
            version = user.password_version + 1
            now_ms = await self._stores.ownership.now_ms()
            event = _event(user.id, version, "role_changed", {"userId": user.id, "role": role.value}, now_ms)
            try:
                await self._stores.users.set_role(user.id, user.password_version, role.value, event)
            except StaleVersion:
                await self._record(deed, user.id, _TAKEN)
                raise UserError("the account was changed at the same time; try again") from None
        await self._record(deed, user.id, _DONE)
        return changed

    async def admins(self) -> list[UserRecord]:
        """Every administrator, newest first."""
        found: list[UserRecord] = []
        cursor: str | None = None
        while True:
            page, cursor = await self._stores.users.list(email=None, role=Role.ADMIN.value, limit=100, cursor=cursor)
            found += page
            if cursor is None:
                return found

    async def _record(self, deed: str, account_id: str, status: int) -> None:
        await self._stores.admin_records.add(
            AdminRecord(
                at_ms=await self._stores.ownership.now_ms(),
                actor=f"cli:{_system_user()}",
                role=OPERATOR,
                method="CLI",
                route=deed,
                path=account_id,
                status=status,
                request_id=secrets.token_hex(16),
                address="local",
            )
        )


async def with_accounts(
    settings: StoreSettings, bcrypt_rounds: int, work: Callable[[AdminAccounts], Awaitable[object]]
) -> None:
    """Do the work over stores that are open as long as it takes."""
    stores = await open_stores(settings)
    try:
        await work(AdminAccounts(stores, bcrypt_rounds=bcrypt_rounds))
    finally:
        await stores.close()


def password_from(file: Path | None) -> str:
    """The password in the file, without the newline at its end; else what is typed twice without being shown.

    Raises `UserError`: the file cannot be read, nobody is there to type, or the two differ.
    """
    if file is not None:
        try:
            return file.read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"cannot read {file}: {getattr(error, 'strerror', None) or 'not UTF-8'}") from None
    if not sys.stdin.isatty():
        raise UserError("nobody is there to type a password: give --password-file or --generate")
    password = getpass.getpass("Password: ")
    if getpass.getpass("Again: ") != password:
        raise UserError("the two passwords differ")
    return password


def generated_password() -> str:
    """A password that nobody can guess: 24 characters, 144 bits."""
    return secrets.token_urlsafe(_GENERATED_BYTES)


def _checked(kind: TypeAdapter[str], given: str, what: str) -> str:
    try:
        return kind.validate_python(given)
    except ValidationError as error:
        reason = error.errors(include_input=False, include_url=False)[0]["msg"].removeprefix("Value error, ")
        raise UserError(f"{what} is not acceptable: {reason}") from None


def _event(user_id: str, version: int, fact: str, body: dict[str, str], at_ms: int) -> NewEvent:
    deed = "cli:" + secrets.token_hex(16)
    return NewEvent(
        entity_type="user",
        entity_id=user_id,
        version=version,
        type=f"user.{fact}",
        schema_version=1,
        body=msgspec.json.encode(body),
        command_id=deed,
        correlation_id=deed,
        causation_id="",
        traceparent="",
        at_ms=at_ms,
    )


def _system_user() -> str:
    with suppress(OSError, KeyError):  # containers may run as somebody without a name
        return getpass.getuser()
    return "unknown"
