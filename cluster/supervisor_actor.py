"""The Ray shell of `supervision`: looks, and carries out what was decided. Detached, stateless, restartable."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, assert_never

import ray
import structlog
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from cluster.import_paths import load
from cluster.logs import configure_logs
from cluster.ray_singletons import SingletonWatch
from cluster.ray_transport import NAMESPACE
from cluster.settings import ClusterSettings
from cluster.supervision import Action, HostName, KillHost, Memory, ReportExit, StartHost, decide
from persistence.errors import StoreError
from persistence.ports import Ownership

log = structlog.get_logger(__name__)

SUPERVISOR_NAME = "supervisor"
NODE_ID_LENGTH = 12
HOST_CALLS_MAX = 10_000


class Supervisor:
    """Keeps `max(1, cores - 1)` hosts on every live node, and buries those whose process exit Ray reports.

    Keeps one of each of `singletons` in the cluster as well: see `SingletonWatch`.

    `host_class`, `build_host` and `open_store` are import paths (`module:name`), so that this package need not know
    its users. In the host's process the actor is made as `host_class(build)`, where `build()` calls
    `build_host(host=, node=, actor_name=, incarnation=, **host_arguments)`. `await open_store(**store_arguments)`
    gives the `Ownership` port, in this process.
    """

    def __init__(
        self,
        *,
        host_class: str,
        build_host: str,
        host_arguments: Mapping[str, Any],
        host_options: Mapping[str, Any],
        open_store: str,
        store_arguments: Mapping[str, Any],
        singletons: Mapping[str, str] | None = None,
        settings: ClusterSettings | None = None,
    ) -> None:
        configure_logs(SUPERVISOR_NAME)
        self._host_class = ray.remote(load(host_class))
        self._build_host = load(build_host)
        self._host_arguments = dict(host_arguments)
        self._host_options = dict(host_options)
        self._open_store: Callable[..., Awaitable[Ownership]] = load(open_store)
        self._store_arguments = dict(store_arguments)
        self._settings = settings or ClusterSettings()
        self._memory = Memory()
        self._singletons = SingletonWatch(singletons or {}, self._settings)
        self._store: Ownership | None = None
        self._watch = asyncio.get_running_loop().create_task(self._run(), name="supervisor")

    async def ping(self) -> bool:
        """Whether the supervisor is at work."""
        return not self._watch.done()

    async def _run(self) -> None:
        while True:
            try:
                await self._round()
            except (StoreError, RayError, OSError) as error:
                log.warning("supervisor.round_failed", error=repr(error))
            await asyncio.sleep(self._settings.supervise_interval_ms / 1e3)

    async def _round(self) -> None:
        if self._store is None:
            self._store = await self._open_store(**self._store_arguments)
        try:
            rows = await self._store.hosts()  # before the names, see `decide`
        finally:  # singletons do not wait for the store
            names, nodes = await asyncio.to_thread(_look)
            await self._singletons.look(names)
        now_ms = time.monotonic_ns() // 1_000_000
        self._memory.observe([name for name in names if HostName.parse(name)], rows, now_ms)
        cores = {node[:NODE_ID_LENGTH]: count for node, count in nodes.items()}
        full_ids = {node[:NODE_ID_LENGTH]: node for node in nodes}
        for action in decide(cores, names, rows, self._memory, self._settings, now_ms):
            log.info("supervisor.acts", action=repr(action))
            self._memory.note(action, now_ms)
            await self._act(action, self._store, full_ids)

    async def _act(self, action: Action, store: Ownership, full_ids: Mapping[str, str]) -> None:
        match action:
            case ReportExit(row):
                await store.bury(row.host, row.incarnation, exit_reported=True)
            case KillHost(actor_name):
                await asyncio.to_thread(_kill, actor_name)
            case StartHost(node, index):
                await asyncio.to_thread(self._start_host, node, index, full_ids[node])
            case _:
                assert_never(action)

    def _start_host(self, node: str, index: int, node_id: str) -> None:
        name = HostName(node, index, f"{time.time_ns():016x}")
        options = {
            "num_cpus": 0,
            "max_concurrency": HOST_CALLS_MAX,
            **self._host_options,
            "name": name.actor_name,
            "namespace": NAMESPACE,
            "lifetime": "detached",
            "max_restarts": 0,
            "max_task_retries": 0,
            "scheduling_strategy": NodeAffinitySchedulingStrategy(node_id, soft=False),
        }
        build = partial(
            self._build_host,
            host=name.host,
            node=node,
            actor_name=name.actor_name,
            incarnation=name.incarnation,
            **self._host_arguments,
        )
        self._host_class.options(**options).remote(build)


def _look() -> tuple[list[str], dict[str, int]]:
    """The named actors that exist, and the cores of every live node by its full id."""
    named = ray.util.list_named_actors(all_namespaces=True)
    names = [actor["name"] for actor in named if actor["namespace"] == NAMESPACE]
    seen: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    nodes = {node["NodeID"]: int(node["Resources"].get("CPU", 1)) for node in seen if node["Alive"]}
    return names, nodes


def _kill(actor_name: str) -> None:
    try:
        ray.kill(ray.get_actor(actor_name, NAMESPACE))
    except ValueError:
        log.info("supervisor.already_gone", actor_name=actor_name)


def start_supervisor(**arguments: Any) -> Any:
    """Start the supervisor, or find the one that runs; `arguments` as of `Supervisor`. Needs `ray.init`."""
    return (
        ray.remote(Supervisor)
        .options(
            name=SUPERVISOR_NAME,
            namespace=NAMESPACE,
            lifetime="detached",
            get_if_exists=True,
            max_restarts=-1,
            max_task_retries=0,
            num_cpus=0,
        )
        .remote(**arguments)
    )
