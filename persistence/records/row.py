"""The base of all records."""

import msgspec


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all records."""
