"""Takes idle entities out of memory, a shard at a time, so that no sweep takes long and none needs a timer."""

from actors.runtime.entity import Entity
from actors.runtime.entity_type import Checkpoint
from actors.runtime.host_services import HostServices
from actors.runtime.shard import Shard
from actors.runtime.snapshots import Snapshotter


class Passivator:
    """Guarantees: what leaves memory is in its store, whole; a SKU leaves with a snapshot of its last version."""

    def __init__(self, host: HostServices, snapshotter: Snapshotter) -> None:
        self._host = host
        self._snapshotter = snapshotter

    def sweep(self, shard: Shard) -> None:
        """Passivate what has been idle for long enough."""
        idle_since_ms = self._host.clock.now().earliest_ms - self._host.settings.passivate_idle_ms
        idle = [entity for entity in shard.entities.values() if entity.used_at_ms <= idle_since_ms and entity.idle]
        changed = self._passivate(shard, idle)
        if changed:
            shard.tasks.spawn(self._save_then_passivate(shard, changed), f"passivate {shard.number}")

    async def save_changed(self, shard: Shard) -> None:
        """Snapshot whatever changed (before the shard moves): the next owner has no tail to read."""
        for journal in shard.journals.values():
            await self._snapshotter.save(shard, journal, self._snapshotter.changed(journal))

    def _passivate(self, shard: Shard, idle: list[Entity]) -> list[Entity]:
        """Take out those that are in their store; the others are returned."""
        changed: list[Entity] = []
        for entity in idle:
            if self._is_stored(shard, entity):
                shard.passivate(entity)
            else:
                changed.append(entity)
        return changed

    async def _save_then_passivate(self, shard: Shard, changed: list[Entity]) -> None:
        for journal in shard.journals.values():
            keys = [entity.key for entity in changed if entity.type.service == journal.service]
            await self._snapshotter.save(shard, journal, keys)
        idle_since_ms = self._host.clock.now().earliest_ms - self._host.settings.passivate_idle_ms
        self._passivate(shard, [entity for entity in changed if entity.used_at_ms <= idle_since_ms and entity.idle])

    @staticmethod
    def _is_stored(shard: Shard, entity: Entity) -> bool:
        if entity.type.checkpoint is not Checkpoint.SNAPSHOT:
            return True
        assert entity.type.service is not None
        return entity.key not in shard.journals[entity.type.service].low_water
