"""`admin create`, `grant`, `revoke` and `list` against a real database."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from persistence.records import AdminRecord, NewEvent, UserRecord
from persistence.settings import StoreSettings
from persistence.stores import Stores, open_stores
from serve.admin_accounts import password_from
from serve.auth.passwords import PasswordHasher
from serve.cli import app
from serve.platform.errors import UserError
from tests.contract.builders import event, user
from tests.servers.postgres import empty_tables, postgres_server, postgres_url

__all__ = ["postgres_server", "postgres_url"]

pytestmark = pytest.mark.postgres
EMAIL = "Chief@Example.com"
PASSWORD = "a good long one"


@pytest.fixture
def settings(postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StoreSettings:
    asyncio.run(empty_tables(postgres_url))
    monkeypatch.setenv("DATABASE_URL", postgres_url)
    monkeypatch.setenv("STAMPEDE_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("STAMPEDE_AUTH_BCRYPT_ROUNDS", "4")
    monkeypatch.setenv("STAMPEDE_STORES_CONNECT_TIMEOUT_MS", "20000")
    return StoreSettings.of(postgres_url, connect_timeout_ms=20_000)


@pytest.fixture
def password_file(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.write_text(PASSWORD + "\n")
    return path


def admin(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["admin", *map(str, arguments)])


def refusal(*arguments: object) -> str:
    result = admin(*arguments)
    assert isinstance(result.exception, UserError), result.output
    return str(result.exception)


def asked(settings: StoreSettings, what: Callable[[Stores], Awaitable[Any]]) -> Any:
    async def ask() -> Any:
        stores = await open_stores(settings)
        try:
            return await what(stores)
        finally:
            await stores.close()

    return asyncio.run(ask())


def account(settings: StoreSettings, key: str = "chief@example.com") -> UserRecord:
    found: UserRecord | None = asked(settings, lambda stores: stores.users.by_email(key))
    assert found is not None
    return found


def records(settings: StoreSettings) -> list[AdminRecord]:
    rows: list[AdminRecord] = asked(
        settings, lambda stores: stores.admin_records.list(actor=None, limit=100, cursor=None)
    )[0]
    return rows[::-1]


def events(settings: StoreSettings) -> list[NewEvent]:
    return [row.event for row in asked(settings, lambda stores: stores.outboxes["users"].read(10))]


def is_password(stored: str, password: str) -> bool:
    async def check() -> bool:
        hasher = PasswordHasher(rounds=4, threads_max=1, queue_max=1)
        try:
            return await hasher.matches(password, stored)
        finally:
            hasher.close()

    return asyncio.run(check())


def test_an_administrator_is_made_with_a_password_from_a_file(settings: StoreSettings, password_file: Path) -> None:
    result = admin("create", EMAIL, "--password-file", password_file)
    assert result.exit_code == 0, result.output
    assert PASSWORD not in result.output
    made = account(settings)
    assert (made.email, made.role, made.password_version) == ("Chief@example.com", "admin", 1)
    assert is_password(made.password_hash, PASSWORD)
    (registered,) = events(settings)
    assert registered.type == "user.registered"
    assert b"example.com" not in registered.body


def test_a_generated_password_is_printed_once_and_works(settings: StoreSettings) -> None:
    result = admin("create", EMAIL, "--generate")
    (password,) = [line.partition(": ")[2] for line in result.output.splitlines() if line.startswith("password: ")]
    assert len(password) == 24
    assert is_password(account(settings).password_hash, password)


def test_every_deed_leaves_a_record_without_the_address(settings: StoreSettings, password_file: Path) -> None:
    admin("create", EMAIL, "--password-file", password_file)
    refusal("create", EMAIL, "--password-file", password_file)
    admin("revoke", EMAIL)
    refusal("grant", "nobody@example.com")
    user_id = account(settings).id
    seen = records(settings)
    assert [(row.route, row.path, row.status) for row in seen] == [
        ("admin create", user_id, 201),
        ("admin create", "", 409),
        ("admin revoke", user_id, 200),
        ("admin grant", "", 404),
    ]
    assert {(row.method, row.role, row.actor.partition(":")[0]) for row in seen} == {("CLI", "operator", "cli")}
    assert "example.com" not in str(seen)


def test_a_role_is_given_and_taken_in_any_case(settings: StoreSettings) -> None:
    asked(settings, lambda stores: stores.users.add(user(), event("usr_1")))
    for deed, role, version in (("grant", "admin", 2), ("grant", "admin", 2), ("revoke", "customer", 3)):
        assert admin(deed, "ADA@example.COM").exit_code == 0
        found = account(settings, "ada@example.com")
        assert (found.role, found.password_version) == (role, version), deed
    changes = events(settings)[1:]
    assert [(change.type, change.version) for change in changes] == [
        ("user.role_changed", 2),
        ("user.role_changed", 3),
    ]


def test_administrators_are_listed(settings: StoreSettings, password_file: Path) -> None:
    asked(settings, lambda stores: stores.users.add(user(), event("usr_1")))
    admin("create", EMAIL, "--password-file", password_file)
    listed = admin("list").output.split()
    assert listed == [account(settings).id, "Chief@example.com"]


@pytest.mark.parametrize(
    ("email", "password", "reason"),
    [
        ("nonsense", PASSWORD, "the e-mail address"),
        (EMAIL, "short", "the password"),
        (EMAIL, "x" * 73, "the password"),
        (EMAIL, "with\0nul in it", "the password"),
    ],
)
def test_what_no_account_may_have_is_refused_and_not_repeated(
    settings: StoreSettings, tmp_path: Path, email: str, password: str, reason: str
) -> None:
    path = tmp_path / "bad"
    path.write_text(password)
    said = refusal("create", email, "--password-file", path)
    assert said.startswith(f"{reason} is not acceptable")
    assert password not in said
    assert records(settings) == []


def test_without_a_terminal_a_password_must_be_given(settings: StoreSettings, tmp_path: Path) -> None:
    del settings
    assert "--password-file or --generate" in refusal("create", EMAIL)
    assert "cannot read" in refusal("create", EMAIL, "--password-file", tmp_path / "none")


def test_a_password_is_typed_twice_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    typed = iter([PASSWORD, "another one", PASSWORD, PASSWORD])
    monkeypatch.setattr("getpass.getpass", lambda _prompt: next(typed))
    monkeypatch.setattr("sys.stdin", type("Terminal", (), {"isatty": lambda _self: True})())
    with pytest.raises(UserError, match="differ"):
        password_from(None)
    assert password_from(None) == PASSWORD


def test_a_database_that_is_away_is_one_line(settings: StoreSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    del settings
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    monkeypatch.setenv("STAMPEDE_STORES_CONNECT_TIMEOUT_MS", "1000")
    assert "could not be reached" in refusal("create", EMAIL, "--generate")
