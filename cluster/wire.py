"""The two messages of an exchange, as msgpack. Each envelope is encoded once, however often it is sent."""

import msgspec

from cluster.envelope import Envelope, ReplyEnvelope


class ExchangeRequest(msgspec.Struct, frozen=True, array_like=True):
    """New envelopes of one session (one client's standing exchange with one host)."""

    session: str
    envelopes: list[Envelope]


class _PackedRequest(msgspec.Struct, frozen=True, array_like=True):
    session: str
    envelopes: list[msgspec.Raw]


class ExchangeResponse(msgspec.Struct, frozen=True, array_like=True):
    """Whichever replies of the session are ready."""

    replies: list[ReplyEnvelope]


class _PackedResponse(msgspec.Struct, frozen=True, array_like=True):
    replies: list[msgspec.Raw]


_ENCODER = msgspec.msgpack.Encoder()
_REQUEST = msgspec.msgpack.Decoder(ExchangeRequest)
_RESPONSE = msgspec.msgpack.Decoder(ExchangeResponse)


def pack(message: Envelope | ReplyEnvelope) -> bytes:
    """One envelope or reply."""
    return _ENCODER.encode(message)


def pack_request(session: str, envelopes: list[bytes]) -> bytes:
    """A request of packed envelopes."""
    return _ENCODER.encode(_PackedRequest(session, [msgspec.Raw(part) for part in envelopes]))


def unpack_request(data: bytes) -> ExchangeRequest:
    """Raises `msgspec.MsgspecError` for anything else."""
    return _REQUEST.decode(data)


def pack_response(replies: list[bytes]) -> bytes:
    """A response of packed replies."""
    return _ENCODER.encode(_PackedResponse([msgspec.Raw(part) for part in replies]))


def unpack_response(data: bytes) -> ExchangeResponse:
    """Raises `msgspec.MsgspecError` for anything else."""
    return _RESPONSE.decode(data)
