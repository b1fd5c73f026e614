"""How products stand in OpenSearch: the template of an index, a document, and a document's version."""

from typing import Any, Final

import msgspec

from persistence.search_documents import SearchDocument
from persistence.search_spelling import in_vocabulary

SCHEMA: Final = 1
"""Part of every index's name. A new number makes the index anew from the catalog at the next start."""

APART: Final = "\x1f"
"""Between the parts of a phrase; no word has it."""

_WORDS: Final = {
    "type": "text",
    "analyzer": "words",
    "norms": False,
    "index_options": "docs",
    # Beginnings are looked up instead of gathered: a shopper's first letter begins thousands of words.
    "index_prefixes": {"min_chars": 1, "max_chars": 8},
}
_SHOWN: Final = {"type": "keyword", "index": False, "doc_values": False}
_SORTED: Final = {"index": False}

_PROPERTIES: Final[dict[str, Any]] = {
    "id": {"type": "keyword"},
    "version": {"type": "long", "index": False, "doc_values": False},
    "removed": {"type": "boolean"},
    "name": _SHOWN,
    "name_key": {"type": "keyword", **_SORTED},
    "name_text": {"type": "keyword"},
    "name_length": {"type": "integer", **_SORTED},
    "brand": {"type": "keyword"},
    "categories": {"type": "keyword"},
    # Minor units: whole numbers compare and sort exactly.
    "price_minor": {"type": "long"},
    "created_at_ms": {"type": "long", **_SORTED},
    "skus": {"type": "keyword", "doc_values": False},
    "name_words": _WORDS,
    "facts": _WORDS,
    "words": _WORDS,
    "vocabulary": {"type": "keyword"},
    "phrases": {"type": "keyword"},
    # The product as JSON text: its attributes are free, and none may become a field.
    "document": {"type": "object", "enabled": False},
}
_NOT_KEPT: Final = ["name_words", "facts", "words", "vocabulary", "phrases", "skus"]


def template(pattern: str) -> dict[str, Any]:
    """The index template for names of this pattern.

    Text arrives as words, made and folded by `persistence.search_words` as for every other store, so the analyzer only
    takes them apart. One shard: facets and ranks are exact.
    """
    return {
        "index_patterns": [pattern],
        "priority": 500,
        "version": SCHEMA,
        "template": {
            "settings": {
                "number_of_shards": 1,
                "auto_expand_replicas": "0-1",
                "analysis": {"analyzer": {"words": {"type": "custom", "tokenizer": "whitespace"}}},
            },
            "mappings": {"dynamic": "strict", "_source": {"excludes": _NOT_KEPT}, "properties": _PROPERTIES},
        },
    }


def put_version(version: int) -> int:
    """The external version of a product at its version. A removal of the same version is greater by one."""
    return 2 * version


def removal_version(version: int) -> int:
    """The external version of a removal."""
    return 2 * version + 1


def fields_of(document: SearchDocument) -> dict[str, object]:
    """A product's document."""
    return {
        "id": document.id,
        "version": document.version,
        "removed": False,
        "name": document.product.name,
        "name_key": document.name_key,
        "name_text": document.name_text,
        "name_length": document.name_length,
        "brand": document.brand,
        "categories": document.categories,
        "price_minor": document.price_minor,
        "created_at_ms": document.created_at_ms,
        "skus": document.skus,
        "name_words": " ".join(sorted(document.name_words)),
        "facts": " ".join(sorted(document.facts)),
        "words": " ".join(sorted(document.words)),
        "vocabulary": sorted(filter(in_vocabulary, document.words)),
        "phrases": [f"{term}{APART}{kind}{APART}{shown}" for kind, term, shown in document.terms() if kind != "word"],
        "document": msgspec.json.encode(document.product).decode(),
    }


def removal_of(product_id: str, version: int) -> dict[str, object]:
    """A removed product's document. It stays, for a deleted one's version is forgotten after a while (`gc_deletes`)."""
    return {"id": product_id, "version": version, "removed": True}
