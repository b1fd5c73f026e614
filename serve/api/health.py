"""Health, readiness and metrics."""

from typing import Literal

from fastapi import APIRouter
from starlette.responses import Response

from serve.answers import answer
from serve.auth.access import public
from serve.deps import ServicesOf
from serve.health_checks import Check
from serve.route import GuardedRoute
from serve.schemas.base import CamelOut

router = APIRouter(tags=["health"], route_class=GuardedRoute)
metrics_router = APIRouter(tags=["health"], route_class=GuardedRoute)


class CheckOut(CamelOut):
    """One check. `latency_ms` is how long its store took to answer."""

    status: Literal["healthy", "unhealthy"]
    latency_ms: int
    detail: str = ""

    @classmethod
    def of(cls, check: Check) -> "CheckOut":
        """As JSON shows it."""
        return cls(status="healthy" if check.healthy else "unhealthy", latency_ms=check.latency_ms, detail=check.detail)


class HealthOut(CamelOut):
    """`healthy` only if everything is."""

    status: Literal["healthy", "unhealthy"]
    service: str
    checks: dict[str, CheckOut]


class ReadyOut(CamelOut):
    """Whether orders can be taken now."""

    status: Literal["ready", "starting"]
    detail: str = ""


@router.get("/health", response_model=HealthOut, responses={503: {"model": HealthOut}})
@public(limited=False)
async def health(services: ServicesOf) -> Response:
    """Each service by name, checked on the store that it lives on. 503 if one does not answer."""
    checks = await services.health.services()
    healthy = all(check.healthy for check in checks.values())
    body = HealthOut(
        status="healthy" if healthy else "unhealthy",
        service="stampede",
        checks={name: CheckOut.of(check) for name, check in checks.items()},
    )
    return answer(body, status=200 if healthy else 503, retry_after_s=None if healthy else 1)


@router.get("/ready", response_model=ReadyOut, responses={503: {"model": ReadyOut}})
@public(limited=False)
async def ready(services: ServicesOf) -> Response:
    """200 once every entity has a living host; 503 before."""
    check = await services.health.ready()
    body = ReadyOut(status="ready" if check.healthy else "starting", detail=check.detail)
    return answer(body, status=200 if check.healthy else 503, retry_after_s=None if check.healthy else 1)


@metrics_router.get("/metrics", include_in_schema=False)
@public(limited=False)
async def metrics(services: ServicesOf) -> Response:
    """For Prometheus: this replica's numbers and those of every shard host and consumer that answers within 1 s."""
    return Response(await services.metrics.exposition(services.hosts), media_type=services.metrics.content_type)
