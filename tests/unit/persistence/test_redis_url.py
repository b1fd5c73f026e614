"""What REDIS_URL says, and what it may not."""

from typing import Any

import pytest
from pydantic import ValidationError

from persistence.redis_url import parse_redis_url
from persistence.settings import StoreSettings
from serve.platform.errors import UserError
from serve.platform.settings import read_settings


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://cache.example", {"host": "cache.example", "port": 6379, "db": 0, "tls": False, "user": ""}),
        ("rediss://cache.example/", {"port": 6379, "tls": True}),
        ("redis://:p%40ss%3A@cache.example:7000/3", {"port": 7000, "db": 3, "user": "", "password": "p@ss:"}),
        ("redis://shop:p@[::1]", {"host": "::1", "user": "shop", "password": "p"}),
    ],
)
def test_a_url_says_where_and_how(url: str, expected: dict[str, Any]) -> None:
    server = parse_redis_url(url)
    assert {name: getattr(server, name) for name in expected} == expected


@pytest.mark.parametrize(
    "url",
    [
        "", "cache.example:6379", "http://:secret@cache.example", "redis://", "redis://:secret@", "redis://user@x",
        "redis://x:secret", "redis://x:99999", "redis://x:0", "redis://x/secret", "redis://x/-1", "redis://x/\u0661",
        "redis://x?db=secret", "redis://x/0#secret", "redis://x/99999",
    ],
)  # fmt: skip
def test_another_url_is_refused_without_being_repeated(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError) as caught:
        parse_redis_url(url)
    assert "secret" not in str(caught.value)
    with pytest.raises(ValidationError) as refused:
        StoreSettings.of("postgresql://x", redis_url=url)
    assert "secret" not in str(refused.value)
    monkeypatch.setenv("REDIS_URL", url)
    with pytest.raises(UserError, match="REDIS_URL") as told:
        read_settings()
    assert "secret" not in str(told.value)
    assert "\n" not in str(told.value)


def test_a_password_is_not_shown() -> None:
    assert "secret" not in repr(parse_redis_url("redis://:secret@x"))
    assert "secret" not in repr(StoreSettings.of("postgresql://x", redis_url="redis://:secret@x"))
