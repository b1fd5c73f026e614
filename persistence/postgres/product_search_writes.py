"""Writes to one pair of tables of the search index, inside a transaction that holds `search_state`."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TypeAlias

import asyncpg
import msgspec
from asyncpg.pool import PoolConnectionProxy

from persistence.postgres.product_search_query import quoted
from persistence.postgres.queries import fill_all
from persistence.records import ProductRecord
from persistence.search_documents import SearchDocument, TermKind, document_of, replaces
from persistence.search_spelling import grams

_PRODUCT: Final = msgspec.json.Decoder(ProductRecord)
_PATIENCE: Final = "SET LOCAL lock_timeout = '10s'; SET LOCAL statement_timeout = '30s'"
_Connection: TypeAlias = "PoolConnectionProxy[asyncpg.Record]"


async def patient(connection: _Connection) -> None:
    """Let this transaction wait its turn: writers of the index wait for each other, and no shopper for them."""
    await connection.execute(_PATIENCE)


class SlotWriter:
    """Puts and removes products, and counts the vocabulary's terms with them."""

    def __init__(self, connection: _Connection, sql: dict[str, str], slot: str) -> None:
        self._connection = connection
        self._sql = fill_all(sql, slot=slot)
        self._changes: Counter[tuple[TermKind, str]] = Counter()
        self._shown: dict[tuple[TermKind, str], str] = {}

    async def put(self, documents: Sequence[SearchDocument]) -> None:
        """Add or replace those that are newer than what is held."""
        newest: dict[str, SearchDocument] = {}
        for document in documents:
            if document.id not in newest or newest[document.id].version <= document.version:
                newest[document.id] = document
        held = await self._held(newest)
        put = [d for d in newest.values() if replaces(_version(held.get(d.id)), d.version, removed=False)]
        if not put:
            return
        self._count(_documents(held, (document.id for document in put)), -1)
        self._count(put, 1)
        await self._connection.execute(
            self._sql["put_products"],
            *_columns(
                (
                    document.id,
                    document.version,
                    document.name_key,
                    document.name_text,
                    document.brand,
                    _array(document.categories),
                    document.price_minor,
                    document.created_at_ms,
                    _array(document.skus),
                    document.name_length,
                )
                for document in put
            ),
        )
        texts = (
            (document.id, _title(document), _words(document), msgspec.json.encode(document.product).decode())
            for document in put
        )
        await self._connection.execute(self._sql["put_texts"], *_columns(texts))
        await self._write_terms()

    async def remove(self, products: Mapping[str, int]) -> None:
        """Remove those that are not newer; a removed product keeps its version."""
        held = await self._held(products)
        gone = [
            (product_id, version)
            for product_id, version in sorted(products.items())
            if replaces(_version(held.get(product_id)), version, removed=True)
        ]
        if not gone:
            return
        ids = [product_id for product_id, _ in gone]
        self._count(_documents(held, ids), -1)
        await self._connection.execute(self._sql["remove_products"], *_columns(gone))
        await self._connection.execute(self._sql["remove_texts"], ids)
        await self._write_terms()

    async def _held(self, ids: Iterable[str]) -> dict[str, asyncpg.Record]:
        records = await self._connection.fetch(self._sql["held"], list(ids))
        return {record["id"]: record for record in records}

    def _count(self, documents: Iterable[SearchDocument], change: int) -> None:
        for document in documents:
            for kind, term, shown in document.terms():
                self._changes[kind, term] += change
                if change > 0:
                    self._shown[kind, term] = shown

    async def _write_terms(self) -> None:
        rows = [
            (kind, term, self._shown.get((kind, term), term), change, "|".join(grams(term)) if kind == "word" else "")
            for (kind, term), change in sorted(self._changes.items())
            if change
        ]
        self._changes.clear()
        if rows:
            await self._connection.execute(self._sql["count_terms"], *_columns(rows))


def _version(record: asyncpg.Record | None) -> tuple[int, bool] | None:
    return None if record is None else (record["version"], record["removed"])


def _documents(held: Mapping[str, asyncpg.Record], ids: Iterable[str]) -> Iterable[SearchDocument]:
    """What these products were found by until now."""
    for product_id in ids:
        if product_id in held and held[product_id]["document"] is not None:
            yield document_of(_PRODUCT.decode(held[product_id]["document"]))


def _columns(rows: Iterable[tuple[object, ...]]) -> list[list[object]]:
    return [list(column) for column in zip(*rows, strict=True)]


def _array(values: Iterable[str]) -> str:
    """The text of an array, for arrays of arrays do not unnest."""
    escaped = (value.replace("\\", "\\\\").replace('"', '\\"') for value in values)
    return "{" + ",".join(f'"{value}"' for value in escaped) + "}"


def _title(document: SearchDocument) -> str:
    """The `tsvector` of name (A) and facts (B)."""
    weights = {word: ",".join(_weights(document, word)) for word in document.name_words | document.facts}
    return " ".join(f"{quoted(word)}:{weight}" for word, weight in sorted(weights.items()))


def _weights(document: SearchDocument, word: str) -> Iterable[str]:
    if word in document.name_words:
        yield "1A"
    if word in document.facts:
        yield "2B"


def _words(document: SearchDocument) -> str:
    return " ".join(map(quoted, sorted(document.words)))
