"""What happens to hosts, stores and the network while clients are at work; and how all of it is healed."""

import asyncio
from random import Random

from tests.simulation.faults import StoreFaults
from tests.simulation.world import Machine, World

LEASE_S = 6.0


class Chaos:
    """Breaks things at random moments, from the seed alone."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.rng: Random = world.rng("chaos")
        self.intensity = self.rng.choice((0.0, 0.3, 1.0, 1.0, 2.0))
        self._under_way: list[asyncio.Task[None]] = []

    def set_weather(self) -> None:
        """The faults that may meet any single call, for the whole of the run."""
        rng, world, i = self.rng, self.world, self.intensity
        world.store_faults = faults = world.client_link.faults
        faults.latency_max_ms = rng.choice((2.0, 5.0, 30.0))
        faults.slow = rng.choice((0.0, 0.02, 0.1)) * i
        faults.unavailable = rng.choice((0.0, 0.01, 0.03)) * i
        faults.lost = rng.choice((0.0, 0.003, 0.01)) * i
        faults.unanswered = rng.choice((0.0, 0.003, 0.01, 0.03)) * i
        faults.written_later = rng.choice((0.0, 0.003, 0.01)) * i
        network = world.network.faults
        network.delay_min_ms, network.delay_max_ms = 0.1, rng.choice((2.0, 20.0, 200.0))
        network.drop_request = rng.choice((0.0, 0.01, 0.05)) * i
        network.drop_reply = rng.choice((0.0, 0.01, 0.05)) * i
        network.duplicate = rng.choice((0.0, 0.02, 0.2)) * i
        gateway = world.gateway.faults
        gateway.refused = rng.choice((0.0, 0.05, 0.2)) * i
        gateway.unanswered = rng.choice((0.0, 0.05, 0.2)) * i
        gateway.slow = rng.choice((0.0, 0.05, 0.2)) * i

    async def run(self, until_s: float) -> None:
        if not self.intensity:
            return
        deeds = (
            [self._crash] * 5 + [self._leave] * 2 + [self._freeze] * 4 + [self._cut] * 3 + [self._double] * 2
            + [self._stores_down] * 2 + [self._gateway_down] * 2 + [self._crash_all]
        )  # fmt: skip
        while self.world.loop.time() < until_s:
            await asyncio.sleep(self.rng.expovariate(self.intensity / 5.0))
            deed = self.rng.choice(deeds)
            self._under_way.append(self.world.spawn(deed(), "chaos"))

    def _some(self) -> Machine | None:
        machines = [self.world.machines[name] for name in sorted(self.world.machines)]
        standing = [machine for machine in machines if not machine.process.stopped]
        return self.rng.choice(standing) if standing else None

    def _restart(self, machine: Machine) -> None:
        if machine.name not in self.world.machines:
            offset_ms = self.rng.choice((0.0, 0.0, -3_600_000.0, 3_600_000.0))
            self.world.start_host(machine.name, offset_ms=offset_ms)

    async def _crash(self) -> None:
        machine = self._some()
        if machine is not None:
            self.world.kill(machine)
            await asyncio.sleep(self.rng.uniform(0.2, 10.0))
            self._restart(machine)

    async def _crash_all(self) -> None:
        dead = [machine for machine in self.world.machines.values() if not machine.process.dead]
        for machine in dead:
            self.world.kill(machine)
        await asyncio.sleep(self.rng.uniform(0.1, 4.0))
        for machine in dead:
            self._restart(machine)

    async def _leave(self) -> None:
        machine = self._some()
        if machine is not None and machine.refs is not None:
            await self.world.stop(machine)
            await asyncio.sleep(self.rng.uniform(0.1, 3.0))
            self._restart(machine)

    async def _freeze(self) -> None:
        machine = self._some()
        if machine is None:
            return
        self.world.freeze(machine)
        await asyncio.sleep(self.rng.choice((self.rng.uniform(0.1, LEASE_S), self.rng.uniform(LEASE_S, 3 * LEASE_S))))
        self.world.thaw(machine, input_first=self.rng.random() < 0.7)

    async def _cut(self) -> None:
        machine = self._some()
        if machine is None or machine.link.cut is not None:
            return
        self.world.cut_off(machine)
        await asyncio.sleep(self.rng.uniform(0.1, 2 * LEASE_S))
        self.world.reconnect(machine)

    async def _double(self) -> None:
        """A host is taken for dead and started again while it lives on: two processes of one name."""
        machine = self._some()
        if machine is None:
            return
        self.world.freeze(machine)
        self.world.start_host(machine.name)
        await asyncio.sleep(self.rng.uniform(0.1, 2 * LEASE_S))
        self.world.thaw(machine, input_first=self.rng.random() < 0.7)
        await asyncio.sleep(self.rng.uniform(0.0, 10.0))
        self.world.kill(machine)

    async def _stores_down(self) -> None:
        self.world.note("stores down")
        self.world.stores_down = True
        await asyncio.sleep(self.rng.uniform(0.1, 4.0))
        self.world.stores_down = False
        self.world.note("stores up")

    async def _gateway_down(self) -> None:
        self.world.gateway.faults.down = True
        await asyncio.sleep(self.rng.uniform(0.5, 15.0))
        self.world.gateway.faults.down = False

    async def heal(self) -> None:
        """Nothing more breaks; what is broken comes back."""
        world = self.world
        world.note("heal")
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=60)
        _clear(world.store_faults)
        network = world.network.faults
        network.drop_request = network.drop_reply = network.duplicate = network.delay_max_ms = 0.0
        gateway = world.gateway.faults
        gateway.refused = gateway.unanswered = gateway.slow = 0.0
        gateway.down = world.stores_down = False
        for machine in world.alive:
            machine.link.faults = world.store_faults
            world.reconnect(machine)
            world.thaw(machine)
        for name in ("h0", "h1"):
            if name not in world.machines:
                world.start_host(name)


def _clear(faults: StoreFaults) -> None:
    faults.latency_max_ms = 2.0
    faults.slow = faults.unavailable = faults.lost = faults.unanswered = faults.written_later = 0.0
