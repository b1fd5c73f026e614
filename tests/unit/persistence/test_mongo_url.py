"""`MONGO_URL`: what it may look like, and that a wrong one is not repeated."""

import pytest
from pydantic import ValidationError

from persistence.mongo_settings import MongoSettings
from persistence.mongo_url import parse_mongo_url

SECRET = "s3cret"


@pytest.mark.parametrize(
    ("url", "database"),
    [
        ("mongodb://localhost", "catalog"),
        ("mongodb://admin:p%40ss@mongodb:27017", "catalog"),
        ("mongodb://a:1,b:2,c:3/shop?replicaSet=rs0&w=1", "shop"),
        ("mongodb+srv://u:p@cluster.example.com/shop", "shop"),
        ("mongodb://[::1]:27017/?authSource=admin", "catalog"),
    ],
)
def test_the_database_is_in_the_path(url: str, database: str) -> None:
    server = parse_mongo_url(url)
    assert (server.url, server.database) == (url, database)
    assert "p%40ss" not in repr(server)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost",
        f"http://u:{SECRET}@h/db",
        f"mongodb://u:{SECRET}@",
        f"mongodb://u:{SECRET}@a,,b/db",
        f"mongodb://u:{SECRET}@h/db#x",
        f"mongodb://u:{SECRET}@h/a.b",
        f"mongodb://u:{SECRET}@h/a/b",
        f"mongodb://u:{SECRET}@h/{'x' * 64}",
        f"mongodb://u:{SECRET}:x@h/db",
        f"mongodb://u:{SECRET}@x@h/db",
        f"mongodb://u:{SECRET}@[h/db",
    ],
)
def test_a_wrong_url_is_named_and_not_repeated(url: str) -> None:
    with pytest.raises(ValueError, match="MONGO_URL must look like") as refused:
        parse_mongo_url(url)
    assert SECRET not in str(refused.value)
    with pytest.raises(ValidationError) as wrong:
        MongoSettings.model_validate({"mongo_url": url})
    assert SECRET not in str(wrong.value)
