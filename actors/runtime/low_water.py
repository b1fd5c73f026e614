"""The low-water mark of one journal: the first seq that a new owner must read.

Marked are the entities for which the journal is still needed: orders with a saga in flight (by the event that
put it in flight), SKUs that changed since their last snapshot (by the first change). While a recovery has not yet
found all of them, the mark stays where the last owner left it (`floor`).
"""

from collections import OrderedDict
from collections.abc import Container

EntityKey = tuple[str, str]
"""(entity type, entity id)."""


class LowWater:
    """Marks by entity. The lowest is found without a search: seqs are handed out in order."""

    __slots__ = ("_marks", "_sorted", "floor")

    def __init__(self, floor: int | None = None) -> None:
        self.floor = floor
        self._marks: OrderedDict[EntityKey, int] = OrderedDict()
        self._sorted = True

    def __contains__(self, key: EntityKey) -> bool:
        return key in self._marks

    def __len__(self) -> int:
        return len(self._marks)

    def keys(self) -> list[EntityKey]:
        """The marked entities, in no promised order."""
        return list(self._marks)

    def of(self, key: EntityKey) -> int | None:
        """The seq from which this entity needs the journal."""
        return self._marks.get(key)

    def mark(self, key: EntityKey, seq: int) -> None:
        """The journal is needed from `seq` for this entity. An earlier mark stays."""
        if key in self._marks:
            return
        if self._marks and seq < next(reversed(self._marks.values())):
            self._sorted = False  # a recovery finds old ones while new ones are made
        self._marks[key] = seq

    def move(self, key: EntityKey, seq: int) -> None:
        """As `mark`, but it replaces an earlier one (a snapshot covers what came before)."""
        self._marks.pop(key, None)
        self.mark(key, seq)

    def release(self, key: EntityKey) -> None:
        """The journal is no longer needed for this entity."""
        self._marks.pop(key, None)

    def lowest(self, end: int, *, released: Container[EntityKey] = (), first_added: int | None = None) -> int:
        """The mark to be written with a batch after which the next seq is `end`.

        Without those that the batch releases, with the first that it adds.
        """
        low = end if first_added is None else min(end, first_added)
        if self.floor is not None:
            low = min(low, self.floor)
        if not self._sorted:
            self._marks = OrderedDict(sorted(self._marks.items(), key=lambda item: item[1]))
            self._sorted = True
        for key, seq in self._marks.items():
            if key not in released:
                return min(low, seq)
        return low
