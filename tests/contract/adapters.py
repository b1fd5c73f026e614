"""The adapters of the ports whose suites run on more than memory and PostgreSQL."""

import time

import pytest

from persistence.stores import Stores, open_memory_stores

CARTS = [
    "memory",
    pytest.param("postgres", marks=pytest.mark.postgres),
    pytest.param("redis", marks=pytest.mark.postgres),
]
"""Where carts are. With Redis everything else is in PostgreSQL."""

SEARCHES = [
    "memory",
    pytest.param("postgres", marks=pytest.mark.postgres),
    pytest.param("opensearch", marks=pytest.mark.postgres),
]
"""Where products are searched. With OpenSearch everything else is in PostgreSQL."""

CATALOGS = [
    "memory",
    pytest.param("postgres", marks=pytest.mark.postgres),
    pytest.param("mongo", marks=pytest.mark.postgres),
]
"""Where the catalog is. With MongoDB everything else is in PostgreSQL."""


def stores_of(request: pytest.FixtureRequest) -> Stores:
    """Every store, empty, for a fixture whose parameter names an adapter: what `<name>_stores` opens."""
    if request.param == "memory":
        return open_memory_stores(lambda: time.time_ns() // 1_000_000)
    stores: Stores = request.getfixturevalue(f"{request.param}_stores")
    return stores
