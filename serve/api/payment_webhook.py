"""The payment gateway's callbacks."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from actors.domain.order import PaymentNews, order_of_key
from serve.answers import answer
from serve.auth.access import public
from serve.deps import ServicesOf
from serve.errors import Problem
from serve.openapi import problems
from serve.route import service_router
from serve.schemas.payment_events import DECODER, ReceivedOut
from serve.shop.commands import CommandIdentity, ask
from serve.shop.webhook_signatures import HEADER

router = service_router("payments")
ACTOR = "gateway"


@router.post(
    "/payments/webhook",
    response_model=ReceivedOut,
    responses=problems("invalid-signature"),
    openapi_extra={
        "parameters": [
            {
                "name": HEADER,
                "in": "header",
                "required": True,
                "schema": {"type": "string"},
                "description": "`t=SECONDS,v1=HEX`: HMAC-SHA256 of `SECONDS.BODY` with the endpoint's secret",
            }
        ],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"type": "object"}, "example": {"type": "charge.succeeded"}}},
        },
    },
)
@public(limited=False)
async def hear(request: Request, services: ServicesOf) -> Response:
    """A signed event of the gateway: a hint to ask it now. Nothing in it is believed, and what is not ours is ignored.

    An event about an order that does not exist is 200 too: the gateway would send it again for days. It may be another
    shop's that has the same account.
    """
    body = await request.body()
    if not services.webhook.accepts(body, request.headers.get(HEADER)):
        raise Problem("invalid-signature")
    key = _payment_key(body)
    if key is not None:
        identity = CommandIdentity(actor=ACTOR, command_id=services.ids.fresh())
        await ask(services, "order", order_of_key(key), PaymentNews(key=key), identity)
    return answer(ReceivedOut(received=True))


def _payment_key(body: bytes) -> str | None:
    """The payment that it is about. Raises `Problem` 400 for what is not JSON; events of another shape are no news."""
    try:
        return DECODER.decode(body).payment_key
    except msgspec.ValidationError:
        return None
    except (msgspec.DecodeError, RecursionError):
        raise Problem("malformed-json") from None
