"""Categories in MongoDB: a document each."""

from collections.abc import Sequence

from persistence.errors import AlreadyExists, StaleVersion, WriteRefused
from persistence.mongo.database import Document, MongoDatabase
from persistence.records import CategoryRecord


class MongoCategories:
    """Their product counts are counted when they are read."""

    def __init__(self, database: MongoDatabase) -> None:
        self._database = database

    async def all(self) -> list[CategoryRecord]:
        """All by name."""
        found = await self._database.find(self._database.categories, {}, sort=[("name", 1), ("_id", 1)])
        stages: list[Document] = [
            {"$match": {"deleted": False}},
            {"$project": {"categories": 1}},
            {"$unwind": "$categories"},
            {"$group": {"_id": "$categories", "products": {"$sum": 1}}},
        ]
        counted = await self._database.aggregate(self._database.products, stages)
        return _records(found, {row["_id"]: row["products"] for row in counted})

    async def one(self, category_id: str) -> CategoryRecord | None:
        """One of them."""
        found = await self._database.find(self._database.categories, {"_id": {"$eq": category_id}}, limit=1)
        if not found:
            return None
        filters = {"deleted": False, "categories": {"$eq": category_id}}
        count = await self._database.read(lambda: self._database.products.count_documents(filters))
        return _records(found, {category_id: count})[0]

    async def ids(self) -> frozenset[str]:
        """Those of all."""
        found = await self._database.find(self._database.categories, {}, fields=["_id"])
        return frozenset(document["_id"] for document in found)

    async def save(self, category: CategoryRecord, expected_version: int) -> None:
        """Write at `expected_version` (0 = create)."""
        if category.version <= 0:
            raise WriteRefused(f"version {category.version}: versions start at 1")
        fields = {"name": category.name, "version": category.version}
        if expected_version == 0:
            try:
                await self._database.write(lambda: self._database.categories.insert_one({"_id": category.id, **fields}))
            except AlreadyExists as error:
                raise AlreadyExists(f"category {category.id} exists") from error
            return
        changed = await self._database.write(
            lambda: self._database.categories.update_one(_at(category.id, expected_version), {"$set": fields})
        )
        _check_found(changed.matched_count, category.id, expected_version)

    async def delete(self, category_id: str, expected_version: int) -> None:
        """Remove one."""
        removed = await self._database.write(
            lambda: self._database.categories.delete_one(_at(category_id, expected_version))
        )
        _check_found(removed.deleted_count, category_id, expected_version)


def _at(category_id: str, version: int) -> Document:
    return {"_id": {"$eq": category_id}, "version": {"$eq": version}}


def _check_found(count: int, category_id: str, version: int) -> None:
    if count != 1:
        raise StaleVersion(f"category {category_id} is not at version {version}")


def _records(found: Sequence[Document], counts: dict[str, int]) -> list[CategoryRecord]:
    return [
        CategoryRecord(
            id=document["_id"],
            name=document["name"],
            version=document["version"],
            product_count=counts.get(document["_id"], 0),
        )
        for document in found
    ]
