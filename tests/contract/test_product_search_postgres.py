"""The search index in PostgreSQL alone: the moment in which its tables change, and which indexes its statements use."""

from itertools import product

import pytest

from persistence.postgres.database import Database
from persistence.postgres.product_search import PostgresProductSearch
from persistence.postgres.product_search_query import SearchStatement
from persistence.postgres.queries import fill, load_queries
from persistence.records import SearchQuery
from persistence.search_spelling import grams
from persistence.search_words import query_words
from persistence.stores import Stores
from tests.contract.sample_products import found, pages, sample_products, thing

pytestmark = pytest.mark.postgres


class Late(PostgresProductSearch):
    """Reads once from tables that are not live any more."""

    stale = True

    async def _live(self) -> str:
        live = await super()._live()
        if not self.stale:
            return live
        self.stale = False
        return "a" if live == "b" else "b"


async def test_a_search_that_read_tables_no_longer_live_is_made_again(
    postgres_stores: Stores, database: Database
) -> None:
    await postgres_stores.search.rebuild(pages(*sample_products()))
    late = Late(database)
    assert await found(late, "gaming monitor") == ["prod-monitor-002"]
    assert not late.stale


async def plan(database: Database, statement: str, *arguments: object) -> str:
    async with database.transaction() as connection:
        # A small table would be read whole; this asks what is possible.
        await connection.execute("SET LOCAL enable_seqscan = off")
        return "\n".join(record[0] for record in await connection.fetch(f"EXPLAIN {statement}", *arguments))


async def test_searches_use_their_indexes(postgres_stores: Stores, database: Database) -> None:
    words = " ".join("".join(letters) for letters in product("bdfhk", "aeiou", "lmnrt", "aeiou", "stz"))
    others = [thing(f"other-{n}", f"Other {n}", description=words[n : n + 200]) for n in range(0, len(words), 20)]
    await postgres_stores.search.rebuild(pages(*others, *sample_products()))
    sql = load_queries("search")
    for text in ("keyboard", "gaming mous"):
        words = query_words(text)
        statement = SearchStatement(sql, "b", SearchQuery(text=text, brand="Clackworks"), words, every=True)
        assert "search_b_words" in await plan(database, statement.text, *statement.arguments)
    similar = fill(sql["similar_words"], slot="b")
    assert "search_b_grams" in await plan(database, similar, grams("keybord"), 5, 9, 100)
    known = fill(sql["known_words"], slot="b")
    assert "search_terms_b_pkey" in await plan(database, known, ["mous"], ["mous"], ["mous\U0010ffff"])
    names = fill(sql["names_from"], slot="b")
    assert "search_b_names" in await plan(database, names, "mech", "mech\U0010ffff", 10)
