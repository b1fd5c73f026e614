"""Where an entity is in its life (drawn in `entity.py`)."""

from enum import Enum


class Phase(Enum):
    """LOADING: its state is being read. ACTIVE: it decides. GONE: it left memory, for good."""

    LOADING = "loading"
    ACTIVE = "active"
    GONE = "gone"


LOADING, ACTIVE, GONE = Phase.LOADING, Phase.ACTIVE, Phase.GONE


class EntityGone(Exception):
    """The entity left memory while somebody waited for it."""
