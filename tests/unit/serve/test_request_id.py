"""One request id, in the application and outside of an ingress that adds its own."""

import pytest
from starlette.types import Message, Receive, Scope, Send

from serve.ingress import middlewares
from serve.middleware.request_id import RequestIdMiddleware, request_id_of


class Ingress:
    """What Ray Serve does: it takes over any id, or makes one, and adds it to the answer."""

    def __init__(self, app: RequestIdMiddleware) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        identifier = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"the-ingress-own")

        async def adding(message: Message) -> None:
            message["headers"] = [*message["headers"], (b"X-Request-ID", identifier)]
            await send(message)

        await self._app(scope, receive, adding)


async def ids_of(given: list[bytes], *, behind_ingress: bool) -> tuple[str, list[bytes]]:
    """The id that the application saw, and those of the answer."""
    seen: list[str] = []
    answered: list[bytes] = []

    async def app(scope: Scope, _receive: Receive, send: Send) -> None:
        seen.append(request_id_of(scope))
        await send({"type": "http.response.start", "status": 200, "headers": [(b"date", b"today")]})

    async def nothing() -> Message:
        raise AssertionError("nothing is to be received")

    async def keep(message: Message) -> None:
        answered.extend(value for name, value in message["headers"] if name.lower() == b"x-request-id")

    inner = RequestIdMiddleware(app)
    [outer] = middlewares()
    served = outer.cls(Ingress(inner), *outer.args, **outer.kwargs) if behind_ingress else inner
    await served({"type": "http", "headers": [(b"x-request-id", value) for value in given]}, nothing, keep)
    return seen[0], answered


@pytest.mark.parametrize("behind_ingress", [False, True])
@pytest.mark.parametrize("given", [[], [b"mine-1"], [b"not sane <>"], [b"one", b"two"], [b"x" * 129]])
async def test_the_answer_has_the_one_id_that_the_application_saw(given: list[bytes], behind_ingress: bool) -> None:
    seen, answered = await ids_of(given, behind_ingress=behind_ingress)
    assert answered == [seen.encode()]
    assert (seen == "mine-1") is (given == [b"mine-1"])
    assert seen.encode() not in {b"not sane <>", b"one", b"two", b"the-ingress-own", b"x" * 129}
