"""The indexes behind the search: which one is live, which one a rebuild fills, and writes to both.

    stampede-products            alias of the live index: searches read it
    stampede-products-built      alias of the live index, if a rebuild made it
    stampede-products-building   alias of the index that a rebuild fills
    stampede-products-v1-…       an index;  stampede-products-v1-…-w: its alias for writes

A change of aliases is one atomic change of the cluster's state: searches see the old index or the new one, whole.
Writers ask which indexes there are and write to all of them; only *aliases* are written to, so an index that has gone
meanwhile is not made again by the write: it fails, and the writer asks again.
"""

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from persistence.errors import StaleVersion, StoreUnavailable, WriteRefused
from persistence.opensearch.faults import AlreadyThere, IndexGone, of_status
from persistence.opensearch.schema import SCHEMA, fields_of, put_version, removal_of, removal_version, template
from persistence.opensearch.server import Server
from persistence.search_documents import SearchDocument

CHANGES_MAX: Final = 5
"""How often what changed meanwhile is looked at again."""

BULK_BYTES_MAX: Final = 1_000_000
_REMOVALS_PAGE: Final = 1_000
_CONFLICT: Final = 409

Target = str
"""An index's alias for writes."""
LinesFor = Callable[[Sequence[Target]], list[bytes]]


class State(msgspec.Struct, frozen=True):
    """The indexes that are there."""

    live: tuple[str, ...]
    building: tuple[str, ...]
    built: tuple[str, ...]
    left: tuple[str, ...]
    """Neither live nor being filled: a rebuild was killed before it removed them."""


class Indexes:
    """The indexes of one shop on one server."""

    def __init__(self, server: Server, prefix: str) -> None:
        self._server = server
        self._name = f"{prefix}-products"
        self._family = f"{self._name}-v{SCHEMA}"
        self._ready = False
        self._readying = asyncio.Lock()

    @property
    def read_alias(self) -> str:
        """What searches read."""
        return self._name

    async def ready(self) -> None:
        """Once a process: check the server, see to the template, and to an empty index where there is none yet.

        An index that is lost later is not replaced by an empty one: until it is rebuilt, searches and writes raise
        `StoreUnavailable`.
        """
        if not self._ready:
            async with self._readying:
                await self._make_ready()

    async def state(self) -> State:
        """What is there now."""
        found = await self._server.read("GET", f"/{self._name}-v*/_alias")
        live, building, built = (self._having(found, alias) for alias in ("", "-building", "-built"))
        return State(live, building, built, tuple(sorted(set(found) - {*live, *building})))

    async def is_built(self) -> bool:
        """Whether the live index is whole, and of this code's kind."""
        state = await self.state()
        return any(name.startswith(self._family) and name in state.built for name in state.live)

    async def write(self, lines_for: LinesFor) -> None:
        """Send these lines to every index, and refresh: a search that begins afterwards sees them."""
        await self.ready()
        for _ in range(CHANGES_MAX):
            state = await self.state()
            if not state.live:
                raise StoreUnavailable("the search index is gone; it is built anew from the catalog")
            await self._drop_all(self._surplus(state))
            try:
                await self._send(lines_for([_target(name) for name in (*state.live, *state.building)]), refresh=True)
            except IndexGone:
                continue  # a rebuild has begun or ended: versions make a repeat harmless
            return
        raise StoreUnavailable("the search index was rebuilt again and again")

    async def begin_build(self, name: str) -> None:
        """Make the index of a rebuild; one that was left behind, or is overtaken, goes."""
        await self._prepare()
        before = await self.state()
        await self._create(name, {f"{self._name}-building": {}}, refresh_interval="-1")
        await self._drop_all((*before.building, *before.left))

    def new_name(self) -> str:
        """A name for the index of a rebuild."""
        return f"{self._family}-{secrets.token_hex(8)}"

    async def add_to_build(self, name: str, lines_for: LinesFor) -> None:
        """Send these lines to the index of a rebuild. Raises `StaleVersion` if it was overtaken."""
        try:
            await self._send(lines_for([_target(name)]), refresh=False)
        except IndexGone as gone:
            raise _overtaken() from gone

    async def end_build(self, name: str) -> int:
        """Make this index the live one; how many products it has. Raises `StaleVersion` if it was overtaken."""
        for _ in range(CHANGES_MAX):
            state = await self.state()
            if name not in state.building:
                break
            try:
                for live in state.live:
                    await self._keep_removals(live, name)
                await self._server.write("PUT", f"/{name}/_settings", {"index": {"refresh_interval": None}})
                await self._server.write("POST", f"/{name}/_refresh")
                count = await self._server.read("POST", f"/{name}/_count", {"query": {"term": {"removed": False}}})
                await self._name_live(name, state)
            except IndexGone:
                continue  # one of the two has gone meanwhile
            return int(count["count"])
        raise _overtaken()

    async def drop(self, name: str) -> None:
        """Remove the index of a rebuild that failed; never the live one."""
        if name not in (await self.state()).live:
            await self._drop_all([name])

    async def _make_ready(self) -> None:
        if self._ready:
            return  # whoever went before has done it
        await self._prepare()
        if not (await self.state()).live:
            with contextlib.suppress(AlreadyThere):
                await self._create(f"{self._family}-first", {self._name: {}})
        self._ready = True

    async def _prepare(self) -> None:
        await self._server.check()
        await self._server.write("PUT", f"/_index_template/{self._family}", template(f"{self._family}-*"))

    async def _create(self, name: str, aliases: Mapping[str, object], **settings: object) -> None:
        body = {"aliases": {**aliases, _target(name): {}}, "settings": {"index": settings}}
        await self._server.write("PUT", f"/{name}", body)

    async def _name_live(self, name: str, state: State) -> None:
        """One change: searches and writes go to this index, and no more to the old one. It fails whole if one has gone.

        The old one goes afterwards: a node closes what it is told to delete before it hears of the aliases.
        """
        roles = [(name, f"{self._name}-building")]
        roles += [(old, alias) for old in state.live for alias in (self._name, _target(old))]
        actions: list[dict[str, object]] = [
            {"remove": {"index": index, "alias": alias, "must_exist": True}} for index, alias in roles
        ]
        actions += [{"add": {"index": name, "alias": self._name + alias}} for alias in ("", "-built")]
        built = [old for old in state.live if old in state.built]
        actions += [{"remove": {"index": old, "alias": f"{self._name}-built"}} for old in built]
        await self._server.write("POST", "/_aliases", {"actions": actions})
        await self._drop_all(state.live)

    async def _keep_removals(self, live: str, name: str) -> None:
        """What was removed before the build and is not in it stays removed, so that a late older write does not undo it."""
        behind: list[object] = []
        while True:
            asked: dict[str, object] = {
                "size": _REMOVALS_PAGE,
                "query": {"term": {"removed": True}},
                "sort": [{"id": "asc"}],
                "_source": ["version"],
            }
            if behind:
                asked["search_after"] = behind
            hits = (await self._server.search(live, asked))["hits"]["hits"]
            if not hits:
                return
            behind = hits[-1]["sort"]
            versions = {hit["_id"]: hit["_source"]["version"] for hit in hits}
            held = await self._server.read("POST", f"/{name}/_mget", {"ids": list(versions)}, _source="false")
            absent = {each["_id"]: versions[each["_id"]] for each in held["docs"] if not each.get("found")}
            await self._send(removal_lines(absent)([_target(name)]), refresh=False)

    async def _send(self, lines: list[bytes], *, refresh: bool) -> None:
        """Send pairs of lines in requests of a bounded size. A greater version that is held is no fault."""
        for request in _requests(lines):
            outcomes = await self._server.bulk(request, refresh=refresh)
            faults = [each for each in outcomes if "error" in each and each["status"] != _CONFLICT]
            found = [of_status(each["status"], each["error"], writing=True) for each in faults]
            # A refused document is told only where nothing else failed: the others of it are written then.
            found.sort(key=lambda fault: (not isinstance(fault, IndexGone), isinstance(fault, WriteRefused)))
            if found:
                raise found[0]

    def _having(self, found: Mapping[str, Any], alias: str) -> tuple[str, ...]:
        return tuple(sorted(name for name, told in found.items() if self._name + alias in told["aliases"]))

    def _surplus(self, state: State) -> list[str]:
        """An empty index that was made at the moment in which a rebuild named its own live, and nothing was there."""
        return [name for name in state.live if name not in state.built] if state.built else []

    async def _drop_all(self, names: Iterable[str]) -> None:
        for name in names:
            with contextlib.suppress(IndexGone):
                await self._server.write("DELETE", f"/{name}")


def put_lines(documents: Sequence[SearchDocument]) -> LinesFor:
    """The lines that put these documents, for each index."""
    rows = [(doc.id, put_version(doc.version), msgspec.json.encode(fields_of(doc))) for doc in documents]
    return lambda targets: _lines(targets, rows)


def removal_lines(products: Mapping[str, int]) -> LinesFor:
    """The lines that remove these products."""
    rows = [(each, removal_version(at), msgspec.json.encode(removal_of(each, at))) for each, at in products.items()]
    return lambda targets: _lines(targets, rows)


def _lines(targets: Sequence[Target], rows: Sequence[tuple[str, int, bytes]]) -> list[bytes]:
    return [line for target in targets for row in rows for line in (_head(target, row[0], row[1]), row[2])]


def _head(target: Target, product_id: str, version: int) -> bytes:
    named = {"_index": target, "_id": product_id, "version": version, "version_type": "external_gte"}
    return msgspec.json.encode({"index": named})


def _requests(lines: Sequence[bytes]) -> Iterable[list[bytes]]:
    request: list[bytes] = []
    size = 0
    for head, body in zip(lines[::2], lines[1::2], strict=True):
        if request and size + len(head) + len(body) > BULK_BYTES_MAX:
            yield request
            request, size = [], 0
        request += [head, body]
        size += len(head) + len(body)
    if request:
        yield request


def _target(name: str) -> Target:
    return f"{name}-w"


def _overtaken() -> StaleVersion:
    return StaleVersion("another rebuild of the search index has begun")
