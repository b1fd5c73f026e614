"""The option that names the data folder, and the folder it names."""

import os
from pathlib import Path
from typing import Annotated

import typer

from serve.platform.folder import DataFolder
from serve.platform.steps import DATA_DIR_VARIABLE


def default_data_dir() -> Path:
    """`.stampede` in the checkout, from wherever it is called; an installed package takes the present folder."""
    root = Path(__file__).resolve().parents[2]
    return (root if (root / "pyproject.toml").is_file() else Path.cwd()) / ".stampede"


DataDir = Annotated[
    Path,
    typer.Option(
        "--data-dir",
        envvar=DATA_DIR_VARIABLE,
        default_factory=default_data_dir,
        show_default=".stampede in the checkout",
        help="The platform's data folder.",
    ),
]


def export_folder(data_dir: Path) -> DataFolder:
    """Name the folder in the environment too, where the settings look for it."""
    folder = DataFolder(data_dir)
    os.environ[DATA_DIR_VARIABLE] = str(folder.path)
    return folder
