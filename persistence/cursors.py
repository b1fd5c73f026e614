"""Opaque keyset cursors: the sort key of the last row of a page, and the list it belongs to."""

import base64
import binascii

import msgspec

CursorKey = str | int


class _Cursor(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    of: str
    key: CursorKey
    id: str


def encode_cursor(of: str, key: CursorKey, row_id: str) -> str:
    """A cursor behind the row `row_id`, whose sort key is `key`, in the list named `of`."""
    return base64.urlsafe_b64encode(msgspec.json.encode(_Cursor(of, key, row_id))).decode().rstrip("=")


def decode_cursor(of: str, cursor: str) -> tuple[CursorKey, str]:
    """The sort key and id of a cursor. Raises `ValueError` unless `encode_cursor` made it for the same list."""
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        decoded = msgspec.json.decode(raw, type=_Cursor)
    except (binascii.Error, UnicodeEncodeError, msgspec.DecodeError, ValueError) as error:
        raise ValueError("not a cursor of this list") from error
    if decoded.of != of:
        raise ValueError("not a cursor of this list")
    return decoded.key, decoded.id


def decode_number_cursor(of: str, cursor: str) -> tuple[int, str]:
    """As `decode_cursor`, for a list sorted by a number."""
    key, row_id = decode_cursor(of, cursor)
    if not isinstance(key, int):
        raise ValueError("not a cursor of this list")  # noqa: TRY004 - the port promises ValueError
    return key, row_id
