"""One run from one seed: a world, clients in it, chaos, healing, a long quiet time, and then the invariants."""

import asyncio
import gc
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from random import Random
from typing import Any
from unittest import mock

import structlog

from actors.audit.facts import DRAINED
from actors.audit.run import audit
from actors.domain import inventory
from cluster.gate import Phase
from persistence.stores import open_memory_audit_reads
from tests.simulation import invariants
from tests.simulation.chaos import Chaos
from tests.simulation.clients import Client
from tests.simulation.history import History
from tests.simulation.keeper import Keeper, LatePayer
from tests.simulation.live import LiveChecks
from tests.simulation.processes import ProcessLoop
from tests.simulation.shoppers import Shop, Shopper
from tests.simulation.virtual_loop import run_virtual
from tests.simulation.world import SHARDS, Machine, Plant, World

BUSY_S = 40.0
UNPAID_S = 900.0
GRACE_S = 150.0
"""Past the next check of a reservation, and the longest pause between two questions about a payment."""
EXPECTED_ERRORS = frozenset({"membership.lost", "fencing.unable"})
TRACE_SHOWN = 80


@dataclass(kw_only=True)
class Outcome:
    """What came of a run."""

    seed: int | str
    breaches: list[str]
    trace: list[str]
    steps: int
    stats: dict[str, int] = field(default_factory=dict)

    def report(self) -> str:
        """For a failing seed: what was broken, how it came to that, how to see it again."""
        return "\n".join(
            [
                f"seed {self.seed}: {len(self.breaches)} breaches after {self.steps} steps",
                *(f"  ! {breach}" for breach in self.breaches[:12]),
                f"the last {TRACE_SHOWN} of {len(self.trace)} lines of its trace:",
                *self.trace[-TRACE_SHOWN:],
                f"again, with the whole trace: python -m tests.simulation --from {self.seed} --seeds 1 --trace",
            ]
        )


Scenario = Callable[[World, History], Awaitable[None]]


def run_seed(seed: int | str, plant: Plant | None = None, scenario: Scenario | None = None) -> Outcome:
    """Run one seed on a virtual loop of its own. `scenario`: a schedule of its own instead of the random one."""
    loop = ProcessLoop()
    outcome: list[Outcome] = []
    found: list[str] = []
    gc_was_on = gc.isenabled()
    patches = ExitStack()
    for owner, name, value in plant.patches if plant is not None else ():
        patches.enter_context(mock.patch.object(owner, name, value))
    gc.disable()  # what is collected is cleaned up, at a moment that no seed decides
    try:
        run_virtual(_bounded(seed, plant, scenario or everyday, outcome, loop, found), time_max_s=4_000, loop=loop)
    finally:
        patches.close()
        structlog.reset_defaults()
        if gc_was_on:
            gc.enable()
    return outcome[0]


async def _bounded(
    seed: int | str,
    plant: Plant | None,
    scenario: Scenario,
    outcome: list[Outcome],
    loop: ProcessLoop,
    found: list[str],
) -> None:
    world, history = World(seed, plant), History()
    _listen(world, found)
    LiveChecks(world, history)
    try:
        await scenario(world, history)
        found += [f"nobody awaited {context.get('exception')!r}" for context in loop.unhandled]
        breaches = [*found, *history.breaches, *invariants.broken(world, history), *await _audited(world)]
        outcome.append(
            Outcome(
                seed=seed,
                breaches=breaches,
                trace=list(world.trace),
                steps=world.steps,
                stats=invariants.figures(world, history),
            )
        )
    finally:
        world.calm = True
        world.network.faults.delay_max_ms = 0.0
        loop.end()
        loop.unhandled.clear()


async def _audited(world: World) -> list[str]:
    """What `./stampede audit` would say now, when nothing is under way any more."""
    report = await audit(open_memory_audit_reads(world.now_ms, world.tables), grace=DRAINED)
    return [f"audit {breach.invariant}: {breach.subject}: {breach.detail}" for breach in report.breaches]


def _listen(world: World, found: list[str]) -> None:
    """Log lines go to the trace; one that tells of a bug is a breach."""

    def take(_logger: Any, method: str, event: MutableMapping[str, Any]) -> str:
        name = event.pop("event")
        world.note(f"log {method}: {name} { {key: value for key, value in event.items() if key != 'exc_info'} }")
        if method in ("error", "exception", "critical") and name not in EXPECTED_ERRORS:
            if event.get("exc_info"):
                import traceback

                world.note(traceback.format_exc() if event["exc_info"] is True else str(event["exc_info"]))
            found.append(f"logged {name}: {event}")
        raise structlog.DropEvent

    structlog.configure(
        processors=[take],
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        cache_logger_on_first_use=False,
    )


async def everyday(world: World, history: History) -> None:
    """Shoppers and a keeper at work, while anything may break."""
    rng = world.rng("everyday")
    products = {"P": ["A", "B"], "Q": ["C"]}
    for product, skus in products.items():
        await world.save_product(product, {sku: rng.randrange(100, 5_000) for sku in skus}, 1)
    shop = Shop({sku: product for product, skus in products.items() for sku in skus})
    chaos = Chaos(world)
    await world.start(rng.choice((1, 2, 2, 3)))
    stocker = Client(world, history, "stocker")
    for sku in shop.skus:
        await stock_up(stocker, sku, rng.choice((2, 5, 12)))
    chaos.set_weather()
    breaking = asyncio.create_task(chaos.run(world.loop.time() + BUSY_S))
    clients = [Shopper(world, history, f"s{n}", shop) for n in range(rng.choice((2, 4, 6)))]
    working = [asyncio.create_task(shopper.run(rng.randrange(6, 16))) for shopper in clients]
    keeper = Keeper(world, history, shop)
    working.append(asyncio.create_task(keeper.run(12)))
    late = [LatePayer(world, history, f"late{n}", shop) for n in range(rng.choice((0, 0, 2)))]
    tokens = ("tok_ok", "tok_timeout_succeeds", "tok_timeout_declines", "tok_declined")
    paying_late = [asyncio.create_task(one.run_late(rng.choice(tokens), rng.randrange(-500, 4_000))) for one in late]
    await asyncio.sleep(BUSY_S)
    await breaking
    await chaos.heal()
    await asyncio.gather(*working)
    world.note("quiet")
    world.calm = True
    await settled(world)
    await asyncio.gather(*(shopper.leave_unpaid() for shopper in clients[:2]))
    await _last_change(world, rng)
    if paying_late:
        await asyncio.sleep(UNPAID_S - world.loop.time() - 10)
        world.gateway.faults.slow = 0.5
        await asyncio.gather(*paying_late)
        world.gateway.faults.slow = 0.0
    else:
        await asyncio.sleep(UNPAID_S)
    await asyncio.sleep(GRACE_S)
    await look_again(world, history)


async def stock_up(client: Client, sku: str, units: int) -> None:
    """Units received, for sure."""
    deed = client.deed("sku", sku, inventory.AdjustStock(delta=units, reason="received"))
    while not (await client.insist(deed)).final:
        pass


async def _last_change(world: World, rng: Random) -> None:
    """The quiet time is cheaper on one host; which one that is, and how it comes to that, is left to the seed."""
    machines = [world.machines[name] for name in sorted(world.machines)]
    how = rng.choice(("leave", "kill", "kill all"))
    stays = machines[0] if how != "kill all" else None
    for machine in machines:
        if machine is not stays:
            await _gone(world, machine, gently=how == "leave")
    if stays is None:
        world.start_host("h9")
    await settled(world)


async def _gone(world: World, machine: Machine, *, gently: bool) -> None:
    if gently:
        await world.stop(machine)
    else:
        world.kill(machine)


async def settled(world: World, timeout_s: float = 60.0) -> None:
    """Wait until every shard runs somewhere."""
    async with asyncio.timeout(timeout_s):
        while True:
            gates = [m.host.cluster.ownership.gate for m in world.machines.values() if m.up and m.host.cluster]
            if sum(len(gate.in_phase(Phase.RUNNING)) for gate in gates) == SHARDS:
                return
            await asyncio.sleep(0.05)


async def look_again(world: World, history: History) -> None:
    """Everybody looks into their cart: a claim that nobody settled is settled by that."""
    client = Client(world, history, "inspector")
    for cart_id in history.carts:
        await client.read("cart", cart_id)
