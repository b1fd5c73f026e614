"""Import paths (`package.module:name`): how a shell names what it must not import."""

import importlib
from typing import Any


def load(path: str) -> Any:
    """What the path names."""
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)
