"""`import products` and `export products`: a progress bar, a line for each fault, and what came of it."""

import asyncio
import getpass
import secrets
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from persistence.errors import StoreError
from persistence.records import AdminRecord
from persistence.settings import StoreSettings
from persistence.stores import Stores, open_stores
from serve.catalog.exporting import STDOUT, export_products, replaced
from serve.catalog.formats import format_of
from serve.catalog.importing import Import
from serve.catalog.product_files import EXIT_FILE_REFUSED, EXIT_SOME_REFUSED, Fault, FileRefused, ProductFormat, Tally
from serve.events import Cause
from serve.platform.errors import UserError
from serve.schemas.catalog import is_product_id

EXIT_INTERRUPTED: Final = 130
_DONE, _SOME_REFUSED, _CUT_SHORT = 200, 207, 500


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOptions:
    """What the command line was told."""

    currency: str
    format: str | None = None
    create_categories: bool = False
    dry_run: bool = False


class ImportTerminal:
    """The report of an import: faults on the console, above the bar where there is a terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar = Progress(
            TextColumn("importing"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        """Show the bar once there is something to show."""
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the terminal as it was."""
        self._bar.stop()

    def begins(self, bytes_total: int) -> None:
        """The bar's length."""
        self._task = self._bar.add_task("", total=max(bytes_total, 1))

    def read(self, bytes_read: int) -> None:
        """The bar's place."""
        if self._task is not None:
            self._bar.update(self._task, completed=bytes_read)

    def refused(self, product_id: str, fault: Fault) -> None:
        """One line: `line 7: price: must be an amount such as 1299.99 (prod-x)`."""
        named = f" ({product_id})" if is_product_id(product_id) else ""
        field = f"{fault.field}: " if fault.field else ""
        text = f"line {fault.line}: {field}{fault.reason}{named}"
        # What the file says must not steer the terminal.
        shown = "".join(character if character.isprintable() else "�" for character in text)
        self._console.print(shown, markup=False, highlight=False, soft_wrap=True)


def run_import(settings: StoreSettings, path: Path, options: ImportOptions, console: Console) -> int:
    """Import the file; 0 if all of it was taken, 1 if some products were refused, 130 after Ctrl-C.

    Raises `UserError` (code 2) if nothing was done, or if the stores failed half-way: it says what is in.
    """
    file_format = format_of(path, options.format)
    if not path.is_file():
        raise FileRefused(f"{path} is no file" if path.exists() else f"there is no file {path}")
    tally = Tally()
    try:
        asyncio.run(_import(settings, path, file_format, options, ImportTerminal(console), tally))
    except KeyboardInterrupt:
        console.print(_summary(tally, options), highlight=False, soft_wrap=True)
        console.print("Interrupted. Every product is in whole, or not at all; run it again to go on.", soft_wrap=True)
        return EXIT_INTERRUPTED
    except StoreError as error:
        raise UserError(
            f"the stores failed: {error}; so far: {_summary(tally, options)}; run it again to go on", EXIT_FILE_REFUSED
        ) from error
    except OSError as error:
        raise UserError(f"{path} or the stores cannot be read: {error}", EXIT_FILE_REFUSED) from error
    console.print(_summary(tally, options), highlight=False, soft_wrap=True)
    return EXIT_SOME_REFUSED if tally.refused else 0


async def _import(
    settings: StoreSettings,
    path: Path,
    file_format: ProductFormat,
    options: ImportOptions,
    terminal: ImportTerminal,
    tally: Tally,
) -> None:
    stores = await open_stores(_patient(settings))
    try:
        run = Import(
            stores=stores,
            cause=Cause(f"import-{secrets.token_hex(16)}"),
            currency=options.currency,
            report=terminal,
            create_categories=options.create_categories,
            trial=options.dry_run,
            tally=tally,
        )
        status = _CUT_SHORT
        try:
            with terminal:
                await run.run(path, file_format)
            status = _SOME_REFUSED if tally.refused else _DONE
        finally:
            if not options.dry_run and tally.products:
                await _record(stores, run.cause, path, status)
    finally:
        await stores.close()


def _patient(settings: StoreSettings) -> StoreSettings:
    """Nobody waits for one of these statements, and each carries much."""
    return settings.model_copy(
        update={
            "lock_timeout_ms": 2_000,
            "statement_timeout_ms": 15_000,
            "answer_timeout_ms": 20_000,
            "connect_timeout_ms": 5_000,
        }
    )


async def _record(stores: Stores, cause: Cause, path: Path, status: int) -> None:
    await stores.admin_records.add(
        AdminRecord(
            at_ms=await stores.ownership.now_ms(),
            actor=f"cli:{_system_user()}",
            role="operator",
            method="CLI",
            route="import products",
            path=path.name,
            status=status,
            request_id=cause.id,
            address="local",
        )
    )


def _system_user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # an id without a name, as in containers
        return "unknown"


def _summary(tally: Tally, options: ImportOptions) -> str:
    text = f"{tally.created:,} created, {tally.changed:,} changed, {tally.unchanged:,} unchanged"
    text += f", {tally.refused:,} refused"
    if tally.refused:
        text += f" ({tally.refused_rows:,} rows)"
    if tally.categories:
        text += f"; new categories: {', '.join(tally.categories)}"
    return f"{text}; nothing was written (dry run)" if options.dry_run else text


def run_export(settings: StoreSettings, path: Path, chosen_format: str | None, console: Console) -> None:
    """Export every product to the file, or to stdout if it is `-`; `console` is for people. Raises `UserError`."""
    file_format = format_of(path, chosen_format)
    try:
        products, variants = asyncio.run(_export(settings, path, file_format, console))
    except BrokenPipeError:
        raise UserError("whoever read the export has gone", EXIT_FILE_REFUSED) from None
    except (StoreError, OSError) as error:
        raise UserError(f"the catalog could not be exported: {error}", EXIT_FILE_REFUSED) from error
    where = "" if path == STDOUT else f" to {path}"
    console.print(f"{products:,} products with {variants:,} variants exported{where}", highlight=False, soft_wrap=True)


async def _export(settings: StoreSettings, path: Path, file_format: ProductFormat, console: Console) -> tuple[int, int]:
    stores = await open_stores(_patient(settings))
    bar = Progress(TextColumn("exporting {task.completed} products"), console=console, disable=not console.is_terminal)
    try:
        with bar, replaced(path) as out:
            task = bar.add_task("", total=None)
            return await export_products(
                stores.catalog, out, file_format, lambda products: bar.update(task, completed=products)
            )
    finally:
        await stores.close()
