"""The command line. Each command only reads its options and hands on."""
# ruff: noqa: PLC0415 -- each part is imported when its turn comes: Ray and the stores take seconds

import json as json_module
import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from serve.admin_cli import admin_app
from serve.events_cli import events_app
from serve.platform import checks, state
from serve.platform import logs as log_files
from serve.platform.data_dir import DataDir, default_data_dir, export_folder
from serve.platform.database import reachable
from serve.platform.detach import REPORT_VARIABLE, up_detached
from serve.platform.down import down as stop_platform
from serve.platform.errors import UserError
from serve.platform.folder import DataFolder
from serve.platform.report import PipeReport, Report, TerminalReport
from serve.platform.state import PlatformState
from serve.platform.status import EXIT_NOT_RUNNING, print_status, read_status
from serve.platform.steps import UpOptions
from serve.platform.up import up as run_platform
from serve.platform.welcome import welcome

app = typer.Typer(
    name="stampede",
    help="Stampede: an e-commerce platform built on actors.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(admin_app, name="admin")
app.add_typer(events_app, name="events")
import_app = typer.Typer(help="Take files into the platform.", no_args_is_help=True)
app.add_typer(import_app, name="import")
export_app = typer.Typer(help="Write files from the platform.", no_args_is_help=True)
app.add_typer(export_app, name="export")
out = Console()


@app.command()
def up(
    data_dir: DataDir,
    port: Annotated[int, typer.Option(min=1, max=65_535, help="Port of the HTTP API and the pages.")] = 8000,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    detach: Annotated[bool, typer.Option("--detach", help="Return once it is ready, and leave it running.")] = False,
    no_sample_data: Annotated[bool, typer.Option("--no-sample-data", help="Start with an empty catalog.")] = False,
) -> None:
    """Start the platform and run it until Ctrl-C."""
    options = UpOptions(data_dir=data_dir, host=host, port=port, sample_data=not no_sample_data)

    def greet(found: PlatformState, stop_with: str = "Ctrl-C") -> None:
        from serve.platform.settings import read_settings

        settings = read_settings()
        demo_accounts = settings.auth_demo_users and not settings.production
        welcome(out, found, demo_accounts=demo_accounts, stop_with=stop_with)

    report = _report()
    try:
        if detach:
            greet(up_detached(options, report), f"./stampede down{_named(data_dir)}")
        else:
            run_platform(options, report, greet)
    except UserError as error:
        report.failed(str(error))
        raise


@app.command()
def down(data_dir: DataDir) -> None:
    """Stop the platform, and whatever a killed one left behind."""
    out.print(stop_platform(DataFolder(data_dir)), highlight=False, soft_wrap=True)


@app.command()
def status(
    data_dir: DataDir,
    json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Say what runs; the exit code is 3 when nothing does."""
    found = read_status(DataFolder(data_dir))
    if json:
        typer.echo(json_module.dumps(found, indent=2))
    else:
        print_status(out, found)
    if not found["running"]:
        raise typer.Exit(EXIT_NOT_RUNNING)


@app.command()
def logs(
    data_dir: DataDir,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="Of each file.")] = 100,
) -> None:
    """Print the logs."""
    folder = DataFolder(data_dir)
    folder.require()
    for name, line in log_files.last_lines(log_files.log_files(folder), lines):
        typer.echo(f"{name} | {line}")
    if follow:
        for name, line in log_files.follow(folder):
            typer.echo(f"{name} | {line}")


@app.command()
def reset(data_dir: DataDir, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    """Delete the data folder: every order, account and key in it."""
    folder = DataFolder(data_dir)
    folder.require()
    if folder.is_held():
        raise UserError(f"a platform runs in {folder.path}; stop it first: ./stampede down")
    if not yes:
        typer.confirm(f"Delete {folder.path} and everything in it?", abort=True)
    stop_platform(folder)  # nothing runs, but a killed one may have left processes and files
    folder.remove()
    out.print(f"deleted {folder.path}", highlight=False, soft_wrap=True)


@app.command()
def check() -> None:
    """Check format, lint, types, import contracts and unit tests."""
    raise typer.Exit(0 if checks.check(out) else 1)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def test(context: typer.Context) -> None:
    """Run `check` and every test suite; with arguments, only pytest with them."""
    raise typer.Exit(0 if checks.test(out, context.args) else 1)


@app.command()
def audit(
    data_dir: DataDir,
    json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Check the invariants of money and stock from the stores."""
    with reachable(export_folder(data_dir)):
        from persistence.settings import StoreSettings
        from serve import audit as platform_audit

        code = platform_audit.run(StoreSettings(), json)
    raise typer.Exit(code)


@app.command()
def reindex(data_dir: DataDir) -> None:
    """Rebuild the search index from the catalog; searches go on meanwhile."""
    folder = export_folder(data_dir)
    running = state.running(folder) is not None
    with reachable(folder):
        from persistence.settings import StoreSettings
        from serve import reindex as platform_reindex

        code = platform_reindex.run(StoreSettings(), out, running=running)
    raise typer.Exit(code)


@app.command()
def demo(data_dir: DataDir) -> None:
    """Play a customer's way through the running platform, step by step."""
    found = state.require_running(export_folder(data_dir))
    from serve import demo as platform_demo

    raise typer.Exit(platform_demo.run(found.urls["api"]))


@app.command()
def token(data_dir: DataDir, service: Annotated[str, typer.Option("--service", help="The service's name.")]) -> None:
    """Issue a token for another service."""
    export_folder(data_dir).require()
    from serve.auth import service_tokens
    from serve.platform.settings import read_settings

    try:
        typer.echo(service_tokens.issue(service, read_settings()))
    except ValueError as error:
        raise UserError(str(error)) from error


@import_app.command("products")
def import_products(
    data_dir: DataDir,
    file: Annotated[Path, typer.Argument(help="A .csv or .jsonl file of products.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would become of it.")] = False,
    create_categories: Annotated[bool, typer.Option("--create-categories", help="Make the missing ones.")] = False,
    format: Annotated[str | None, typer.Option("--format", help="csv or jsonl, whatever the file's name.")] = None,  # noqa: A002
) -> None:
    """Create and change products from a file; the exit code is 1 if some were refused, 2 if the file was."""
    from persistence.settings import StoreSettings
    from serve.catalog import command
    from serve.platform.settings import read_settings

    folder = export_folder(data_dir)
    options = command.ImportOptions(
        currency=read_settings().catalog_currency,
        format=format,
        create_categories=create_categories,
        dry_run=dry_run,
    )
    with reachable(folder):
        code = command.run_import(StoreSettings(), file, options, out)
    raise typer.Exit(code)


@export_app.command("products")
def export_products(
    data_dir: DataDir,
    file: Annotated[Path, typer.Argument(help="The .csv or .jsonl file to write; - is stdout.")],
    format: Annotated[str | None, typer.Option("--format", help="csv or jsonl, whatever the file's name.")] = None,  # noqa: A002
) -> None:
    """Write all products to a file that an import takes."""
    from persistence.settings import StoreSettings
    from serve.catalog import command

    with reachable(export_folder(data_dir)):
        command.run_export(StoreSettings(), file, format, Console(stderr=True))


def main() -> None:
    """Run the command line; what the user can mend is one line on stderr and a code that is not 0."""
    try:
        app(prog_name="stampede")
    except UserError as error:
        typer.echo(f"stampede: {error}", err=True)
        sys.exit(error.exit_code)


def _report() -> Report:
    """To the process that waits for us, if `--detach` started us; else to the terminal."""
    descriptor = os.environ.pop(REPORT_VARIABLE, None)
    return TerminalReport(out) if descriptor is None else PipeReport(int(descriptor))


def _named(data_dir: Path) -> str:
    return "" if data_dir.resolve() == default_data_dir().resolve() else f" --data-dir {data_dir}"


if __name__ == "__main__":
    main()
