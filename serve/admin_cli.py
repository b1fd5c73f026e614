"""`admin`: administrators' accounts on the command line."""
# ruff: noqa: FBT002, PLC0415 -- options of a command line; each part is imported when its turn comes

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from serve.platform.data_dir import DataDir, export_folder
from serve.platform.database import reachable
from serve.platform.errors import UserError

if TYPE_CHECKING:
    from serve.admin_accounts import AdminAccounts

admin_app = typer.Typer(help="Administrators' accounts.", no_args_is_help=True)


@admin_app.command("create")
def admin_create(
    data_dir: DataDir,
    email: Annotated[str, typer.Argument(help="The e-mail address to log in with.")],
    password_file: Annotated[Path | None, typer.Option(help="A file with the password; else it is asked for.")] = None,
    generate: Annotated[bool, typer.Option("--generate", help="Make a password, and print it once.")] = False,
    first_name: Annotated[str, typer.Option(help="As the shop shows it.")] = "Shop",
    last_name: Annotated[str, typer.Option(help="As the shop shows it.")] = "Administrator",
) -> None:
    """Make an administrator's account."""
    from serve import admin_accounts

    password = admin_accounts.generated_password() if generate else admin_accounts.password_from(password_file)
    new = admin_accounts.NewAdmin.of(email, password, first_name, last_name)
    _with_accounts(data_dir, lambda accounts: accounts.create(new))
    typer.echo(f"{new.email} is an administrator")
    if generate:
        typer.echo(f"password: {password}")


@admin_app.command("grant")
def admin_grant(data_dir: DataDir, email: Annotated[str, typer.Argument(help="Of an account that exists.")]) -> None:
    """Make an account an administrator's. Its tokens end within a second."""
    from serve.auth.principal import Role

    _with_accounts(data_dir, lambda accounts: accounts.change_role(email, Role.ADMIN))
    typer.echo(f"{email} is an administrator")


@admin_app.command("revoke")
def admin_revoke(data_dir: DataDir, email: Annotated[str, typer.Argument(help="Of an administrator.")]) -> None:
    """Make an administrator a customer. Their tokens end within a second."""
    from serve.auth.principal import Role

    _with_accounts(data_dir, lambda accounts: accounts.change_role(email, Role.CUSTOMER))
    typer.echo(f"{email} is no administrator")


@admin_app.command("list")
def admin_list(data_dir: DataDir) -> None:
    """List the administrators."""

    async def show(accounts: "AdminAccounts") -> None:
        for account in await accounts.admins():
            typer.echo(f"{account.id}  {account.email}")

    _with_accounts(data_dir, show)


def _with_accounts(data_dir: Path, work: "Callable[[AdminAccounts], Awaitable[object]]") -> None:
    """Do the work on the platform's accounts, whether it runs or not. Raises `UserError`."""
    from persistence.errors import StoreError
    from persistence.settings import StoreSettings
    from serve.admin_accounts import with_accounts
    from serve.platform.settings import read_settings

    folder = export_folder(data_dir)
    rounds = read_settings().auth_bcrypt_rounds
    with reachable(folder):
        try:
            asyncio.run(with_accounts(StoreSettings(), rounds, work))
        except (StoreError, OSError) as error:
            raise UserError(f"the accounts could not be reached: {error}") from error
