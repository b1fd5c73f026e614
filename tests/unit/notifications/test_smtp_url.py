"""What SMTP_URL and STAMPEDE_MAIL_FROM say, and what they may not."""

from typing import Any

import pytest
from pydantic import ValidationError

from persistence.settings import StoreSettings
from persistence.smtp_url import parse_sender, parse_smtp_url
from serve.platform.errors import UserError
from serve.platform.settings import read_settings


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("smtp://mail.example", {"port": 25, "tls": False, "starttls": "offered", "user": "", "password": ""}),
        ("smtps://mail.example", {"port": 465, "tls": True}),
        ("smtp://u:p@mail.example", {"port": 587, "starttls": "required", "user": "u", "password": "p"}),
        ("smtp://u:p@localhost:2525", {"port": 2525, "starttls": "offered"}),
        ("smtp://u%40x:p%2F%3A@mail.example:26?starttls=off", {"user": "u@x", "password": "p/:", "starttls": "off"}),
        ("smtp://[::1]:25", {"host": "::1"}),
    ],
)
def test_a_url_says_where_and_how(url: str, expected: dict[str, Any]) -> None:
    server = parse_smtp_url(url)
    assert {name: getattr(server, name) for name in expected} == expected


@pytest.mark.parametrize(
    "url",
    [
        "", "mail.example:25", "http://u:secret@mail.example", "smtp://", "smtp://u:secret@", "smtp://u@mail.example",
        "smtp://mail.example:secret", "smtp://mail.example:99999", "smtp://mail.example/secret",
        "smtp://mail.example?starttls=secret", "smtp://mail.example?verify=secret", "smtp://:secret@mail.example",
    ],
)  # fmt: skip
def test_another_url_is_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_smtp_url(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["", "Shop", "Shop <shop>", "shop@", "@x", "a@b\r\nBcc: c@d", "Shop <ä@x.de>", "a b@c"]
)
def test_another_sender_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_sender(text)


@pytest.mark.parametrize(
    ("text", "sender"),
    [("shop@example.com", ("", "shop@example.com")), ('"A, B" <s@x.y>', ("A, B", "s@x.y")), ("Ü <s@x>", ("Ü", "s@x"))],
)
def test_a_sender_is_a_name_and_an_address(text: str, sender: tuple[str, str]) -> None:
    assert parse_sender(text) == sender


@pytest.mark.parametrize(
    ("variable", "value"), [("SMTP_URL", "smtp://shop:hunter2@"), ("STAMPEDE_MAIL_FROM", "hunter2\r\nBcc: x@y.z")]
)
def test_a_wrong_setting_stops_a_start_and_is_not_repeated(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    monkeypatch.setenv("DATABASE_URL", "postgresql://shop:hunter2@db/shop")
    with pytest.raises(UserError) as refused:
        read_settings()
    with pytest.raises(ValidationError) as invalid:
        StoreSettings()
    for message in (str(refused.value), str(invalid.value)):
        assert variable in message
        assert "hunter2" not in message
