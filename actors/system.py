"""Starts and stops the platform's actors: the composition root on the Ray side.

Settings come from the environment, which every process of the node inherits.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import ray

from actors.gateway.choice import open_gateway
from actors.payment_settings import PaymentSettings
from actors.platform_host import HostParts, PlatformHost
from cluster.logs import configure_logs
from cluster.membership import HostIdentity
from cluster.ray_transport import NAMESPACE, RayTransport
from cluster.settings import ClusterSettings
from cluster.singletons import SingletonName
from cluster.supervision import HostName
from cluster.supervisor_actor import SUPERVISOR_NAME, start_supervisor
from cluster.tracing import start_tracing
from persistence.kafka_settings import KafkaSettings
from persistence.ports import Ownership
from persistence.settings import StoreSettings
from persistence.stores import open_stores

SINGLETONS = {"consumers": "actors.consumers:build_consumers"}
"""What runs once in every cluster. It starts beside the hosts, and nobody waits for it."""

KAFKA_SINGLETONS = {"kafka_bridge": "actors.consumers:build_bridge"}
"""What runs beside it where there is a Kafka."""

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 15.0
POLL_S = 0.1


def singletons(settings: KafkaSettings | None = None) -> dict[str, str]:
    """What runs once in this cluster, by name, with the import paths of what makes it."""
    has_kafka = (settings or KafkaSettings()).kafka_bootstrap_servers is not None
    return SINGLETONS | (KAFKA_SINGLETONS if has_kafka else {})


def build_host(*, host: str, node: str, actor_name: str, incarnation: str) -> PlatformHost:
    """A host in the process of its actor. Called by the supervisor's import path."""
    configure_logs(host)
    start_tracing(host)
    payments = PaymentSettings()
    parts = HostParts(
        transport=RayTransport(timeout_ms=ClusterSettings().exchange_timeout_ms),
        gateway=lambda stores, now_ms: open_gateway(payments, stores.ledger, now_ms),
    )
    return PlatformHost(
        open_stores=partial(open_stores, StoreSettings()),
        parts=parts,
        identity=HostIdentity(host=host, node=node, actor_name=actor_name),
        incarnation=incarnation,
    )


async def open_ownership() -> Ownership:
    """The supervisor's view of the cluster's table."""
    return (await open_stores(StoreSettings())).ownership


class SystemStartError(RuntimeError):
    """The shard hosts did not come up; `__cause__` or the logs say why."""


def start_system() -> None:
    """Start the supervisor and wait until a host serves. Needs `ray.init`; raises `SystemStartError`."""
    start_supervisor(
        host_class="actors.shard_host_actor:ShardHostActor",
        build_host="actors.system:build_host",
        host_arguments={},
        host_options={},
        open_store="actors.system:open_ownership",
        store_arguments={},
        singletons=singletons(),
    )
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        hosts = _hosts()
        if hosts:
            try:
                ray.get([handle.ping.remote() for handle in hosts], timeout=START_TIMEOUT_S)
            except ray.exceptions.RayError as error:
                raise SystemStartError(f"a shard host did not start: {error}") from error
            return
        time.sleep(POLL_S)
    raise SystemStartError(f"no shard host within {START_TIMEOUT_S:.0f} s")


def stop_system() -> None:
    """Stop the supervisor, then the singletons and the hosts: each host flushes, hands on what it can, and leaves."""
    _kill(SUPERVISOR_NAME)
    actors = [*_actors(SingletonName.parse), *_hosts()]
    _ready, _late = (
        ray.wait([handle.stop.remote() for handle in actors], num_returns=len(actors), timeout=STOP_TIMEOUT_S)
        if actors
        else ([], [])
    )
    for handle in actors:
        ray.kill(handle)


def _hosts() -> list[Any]:
    return _actors(HostName.parse)


def _actors(parse: Callable[[str], HostName | SingletonName | None]) -> list[Any]:
    """The actors whose names this parses."""
    named = ray.util.list_named_actors(all_namespaces=True)
    names = [actor["name"] for actor in named if actor["namespace"] == NAMESPACE and parse(actor["name"])]
    found = []
    for name in names:
        try:
            found.append(ray.get_actor(name, NAMESPACE))
        except ValueError:
            continue
    return found


def _kill(name: str) -> None:
    try:
        ray.kill(ray.get_actor(name, NAMESPACE))
    except ValueError:
        return
