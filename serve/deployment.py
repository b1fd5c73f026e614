"""The Ray Serve shell: one deployment, `http`, whose replicas run the ASGI application."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from ray import serve as ray_serve
from starlette.types import ASGIApp

from serve.replica_app import ReplicaApp

APP_NAME = "stampede"

OpenApp = Callable[[], AbstractAsyncContextManager[ASGIApp]]
"""Opens what the application needs (stores, region) in the running loop, and yields it. A module's function or a
`functools.partial` of one: it travels to the replica by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentSettings:
    """Bounds of the HTTP replicas. Beyond `requests_max` running and `queued_max` waiting, a replica answers 503."""

    replicas: int = 1
    requests_max: int = 5_000
    queued_max: int = 5_000
    health_check_interval_ms: int = 1_000
    health_check_timeout_ms: int = 10_000
    drain_timeout_ms: int = 12_000  # above the longest deadline, that of POST /orders


class Http:
    """The deployment's class; `ray_serve.ingress` gives it the application."""


def deploy(open_app: OpenApp, settings: DeploymentSettings | None = None) -> None:
    """Start the replicas and return when they answer. Ray Serve must run (`serve.ray_node.start_node`).

    Raises `RuntimeError` when a replica does not start; its log has the reason.
    """
    settings = settings or DeploymentSettings()

    def build() -> ASGIApp:
        return ReplicaApp(open_app)

    shell = ray_serve.deployment(
        name="http",
        num_replicas=settings.replicas,
        max_ongoing_requests=settings.requests_max,
        max_queued_requests=settings.queued_max,
        ray_actor_options={"num_cpus": 0},
        health_check_period_s=settings.health_check_interval_ms / 1000,
        health_check_timeout_s=settings.health_check_timeout_ms / 1000,
        graceful_shutdown_wait_loop_s=0.2,
        graceful_shutdown_timeout_s=settings.drain_timeout_ms / 1000,
        # The level matters as much as the switch: below it, Serve builds a record per request and throws it away.
        logging_config={"enable_access_log": False, "log_level": "WARNING"},
    )
    http = shell(ray_serve.ingress(build)(Http))
    ray_serve.run(http.bind(), name=APP_NAME, route_prefix="/", logging_config={"log_level": "WARNING"})


def undeploy() -> None:
    """Stop the replicas; requests in flight finish first (≤ `drain_timeout_ms`). Nothing deployed: does nothing."""
    ray_serve.delete(APP_NAME)
