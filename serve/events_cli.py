"""`events`: what the platform publishes, on the command line."""
# ruff: noqa: FBT002, PLC0415 -- options of a command line; each part is imported when its turn comes

from typing import Annotated

import typer

from serve.platform.data_dir import DataDir, export_folder
from serve.platform.database import reachable

events_app = typer.Typer(help="Events in Kafka.", no_args_is_help=True)


@events_app.command("tail")
def events_tail(
    topic: Annotated[str | None, typer.Argument(help="One topic, such as order-events; else all.")] = None,
    from_start: Annotated[bool, typer.Option("--from-start", help="From the oldest on, not only what comes.")] = False,
    until_end: Annotated[bool, typer.Option("--until-end", help="Stop at what is there now.")] = False,
) -> None:
    """Print events as they are published, one JSON document a line, until Ctrl-C."""
    from serve import event_commands

    event_commands.tail(topic, from_start=from_start, until_end=until_end)


@events_app.command("replay")
def events_replay(
    data_dir: DataDir,
    topic: Annotated[str, typer.Option("--topic", help="order-events, payment-events or inventory-events.")],
    first_seq: Annotated[int, typer.Option("--from", min=1, help="The first seq, of every shard.")],
    shard: Annotated[int | None, typer.Option("--shard", min=0, help="Only this shard.")] = None,
) -> None:
    """Publish a journal's events again, from a seq up to where the bridge has come; consumers drop what they have seen."""
    from persistence.settings import StoreSettings
    from serve import event_commands

    with reachable(export_folder(data_dir)):
        event_commands.replay(StoreSettings(), topic, first_seq, shard)


@events_app.command("check")
def events_check(data_dir: DataDir) -> None:
    """Compare the journals with their topics; the exit code is 1 if something is missing or out of order."""
    from persistence.settings import StoreSettings
    from serve import event_commands

    with reachable(export_folder(data_dir)):
        code = event_commands.check(StoreSettings())
    raise typer.Exit(code)
