"""Schedules of their own, for what chance meets too rarely. Seeds still decide everything else in them."""

import asyncio
from itertools import count

from actors.domain import inventory, order
from actors.domain.ids import order_id
from cluster.gate import Phase
from cluster.hashing import shard_of
from tests.simulation.chaos import Chaos
from tests.simulation.clients import PLACE_DEADLINE_MS, SECRET, Client
from tests.simulation.faults import StoreLink
from tests.simulation.history import History
from tests.simulation.run import GRACE_S, settled, stock_up
from tests.simulation.shoppers import Shop, Shopper
from tests.simulation.world import SHARDS, World


async def a_sample_in_the_socket(world: World, history: History) -> None:
    """A host is frozen while the database's time is on its way to it, loses its lease, and goes on with that answer."""
    await _open_shop(world, history, {"A": 5})
    victim = world.machines["h1"]
    await asyncio.sleep(world.rng("freeze").uniform(8, 12))
    frozen = asyncio.Event()

    def on_ran(link: StoreLink, name: str) -> None:
        if link is victim.link and name == "cluster.now_ms" and not frozen.is_set():
            world.freeze(victim)
            frozen.set()

    world.on_ran.append(on_ran)
    await frozen.wait()
    other = world.machines["h0"].host.cluster
    assert other is not None
    while len(other.ownership.gate.in_phase(Phase.RUNNING)) < SHARDS:  # noqa: ASYNC110 - virtual time
        await asyncio.sleep(0.05)
    world.thaw(victim)
    await asyncio.sleep(5)
    await _quiet(world)


async def a_copy_after_the_refusal(world: World, history: History) -> None:
    """The network carries each exchange twice, the second copy long after the first, and stock comes in meanwhile."""
    shop = await _open_shop(world, history, {"A": 0})
    world.network.faults.duplicate = 1.0
    world.network.faults.delay_max_ms = 1_500.0
    shoppers = [Shopper(world, history, f"s{n}", shop) for n in range(6)]
    lines = (order.WantedLine(sku="A", quantity=1),)
    buying = [asyncio.create_task(one.order_items(lines, token="tok_ok")) for one in shoppers]
    await asyncio.sleep(1.5)
    await stock_up(Client(world, history, "late-stocker"), "A", 3)
    await asyncio.gather(*buying)
    await asyncio.sleep(12)
    await _quiet(world)


async def copies_after_the_deed(world: World, history: History) -> None:
    """The network carries each exchange twice, and many a copy comes when all of it is over."""
    shop = await _open_shop(world, history, {"A": 40, "B": 40})
    world.network.faults.duplicate = 1.0
    world.network.faults.delay_max_ms = 600.0
    shoppers = [Shopper(world, history, f"s{n}", shop) for n in range(6)]
    for _ in range(4):
        wanted = [tuple(order.WantedLine(sku=sku, quantity=1) for sku in shop.skus) for _ in shoppers]
        buying = [one.order_items(lines, token="tok_ok") for one, lines in zip(shoppers, wanted, strict=True)]
        await asyncio.gather(*buying)
    await asyncio.gather(*(one.cancel() for one in shoppers))
    await asyncio.sleep(12)
    await _quiet(world)


async def a_host_started_twice(world: World, history: History) -> None:
    """A host is taken for dead and started again; the old process comes back while its lease still stands."""
    shop = await _open_shop(world, history, {"A": 9})
    shopper = Shopper(world, history, "s0", shop)
    lines = (order.WantedLine(sku="A", quantity=1),)
    await shopper.order_items(lines, token="tok_ok")
    old = world.machines["h1"]
    world.freeze(old)
    world.start_host("h1")
    await asyncio.sleep(world.rng("twice").uniform(1.0, 2.5))
    world.thaw(old)
    for _ in range(4):
        await shopper.order_items(lines, token="tok_ok")
    world.kill(old)
    await asyncio.sleep(8)
    await _quiet(world)


async def a_zombie_gives_back(world: World, history: History) -> None:
    """A host is frozen while it reserves; its successor makes the order; then it wakes up, and gives back what it can."""
    shop = await _open_shop(world, history, {f"A{n}": 9 for n in range(8)})
    victim = world.machines["h1"]
    cluster = victim.host.cluster
    assert cluster is not None
    served = cluster.ownership.gate.in_phase(Phase.RUNNING)
    sku = next(sku for sku in shop.skus if shard_of(sku, SHARDS) not in served)
    names = (f"z{n}" for n in count() if shard_of(order_id(SECRET, f"z{n}", f"z{n}-1"), SHARDS) in served)
    shopper = Shopper(world, history, next(names), shop)
    frozen = asyncio.Event()

    def on_ran(_link: StoreLink, name: str) -> None:
        if name == "inventory.append" and not frozen.is_set():
            world.freeze(victim)
            frozen.set()

    world.on_ran.append(on_ran)
    began_s = world.loop.time()
    lines = (order.WantedLine(sku=sku, quantity=1),)
    buying = asyncio.create_task(shopper.order_items(lines, token=None))
    await asyncio.sleep(began_s + PLACE_DEADLINE_MS / 1e3 - 0.2 - world.loop.time())
    world.thaw(victim, input_first=False)
    placed = await buying
    await asyncio.sleep(3)
    if placed.done:
        await shopper.pay_for(placed, "tok_ok")
    await _quiet(world)


async def _open_shop(world: World, history: History, stock: dict[str, int]) -> Shop:
    await world.save_product("P", dict.fromkeys(stock, 1_000), 1)
    await world.start(2)
    world.store_faults.latency_max_ms = 20.0
    await settled(world)
    await asyncio.sleep(6)
    stocker = Client(world, history, "stocker")
    for sku, units in stock.items():
        if units:
            await stock_up(stocker, sku, units)
        else:
            await stocker.insist(stocker.deed("sku", sku, inventory.GetStock()), keyed=False)
    return Shop(dict.fromkeys(stock, "P"))


async def _quiet(world: World) -> None:
    await Chaos(world).heal()
    world.calm = True
    await settled(world)
    await asyncio.sleep(GRACE_S)
