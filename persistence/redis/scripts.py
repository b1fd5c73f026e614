"""Loads the scripts of `lua/*.lua`: each is one atomic write."""

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Script:
    """A script, and the hash by which the server knows it once it has seen it."""

    text: bytes
    sha: str


@cache
def load_script(name: str) -> Script:
    """The script `lua/<name>.lua`. It begins with `#!lua`: a server that cannot write refuses it before its first line."""
    text = files(__package__).joinpath("lua", f"{name}.lua").read_bytes()
    return Script(text, hashlib.sha1(text, usedforsecurity=False).hexdigest())
