"""Log lines: JSON, with their cause, and without secrets, whichever way these came."""

import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog

from cluster.logs import configure_logs, masked_text
from cluster.tracing import reset_cause, set_cause

CANARY = "c4n4ry-Pa55word"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ1c3JfMSJ9.c2lnbmF0dXJl"
Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines() -> Iterator[Lines]:
    """What the process has logged; the configuration of logging is put back afterwards."""
    root = logging.getLogger()
    handlers, level, before = root.handlers[:], root.level, structlog.get_config()
    out = io.StringIO()
    configure_logs("host-1", out)
    yield lambda: [json.loads(line) for line in out.getvalue().splitlines()]
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**before)


def test_a_line_says_what_when_where_and_why(lines: Lines) -> None:
    token = set_cause("req-1", "")
    structlog.get_logger("any").warning("shard.lost", shard=7, epoch=3)
    reset_cause(token)
    structlog.get_logger("any").info("later", took_s=0.5)
    first, second = lines()
    assert first.items() >= {
        "level": "warning", "event": "shard.lost", "process": "host-1", "shard": 7, "epoch": 3, "correlation_id": "req-1",
    }.items()  # fmt: skip
    assert first["at"].endswith("Z")
    assert "correlation_id" not in second
    assert second["took_s"] == 0.5


def test_records_of_libraries_take_the_same_way(lines: Lines) -> None:
    logging.getLogger("asyncpg").warning("password=%s is wrong", CANARY)
    logging.getLogger("asyncpg").info("too quiet to be kept")
    (line,) = lines()
    assert line["logger"] == "asyncpg"
    assert line["level"] == "warning"
    assert line["event"] == "password=*** is wrong"


@pytest.mark.parametrize("name", ["password", "new_password", "token", "refresh_token", "Authorization", "api_key", "email", "secret", "cookie", "phone"])  # fmt: skip
def test_what_is_named_like_a_secret_is_masked(lines: Lines, name: str) -> None:
    structlog.get_logger().error("x", **{name: CANARY}, nested={"deep": [{name: CANARY}]})
    assert CANARY not in json.dumps(lines())
    assert lines()[0][name] == "***"


@pytest.mark.parametrize(
    "text",
    [
        f"Authorization: Bearer {CANARY}",
        f"bearer {CANARY}",
        f"the token was {JWT}",
        f"old-{JWT}",
        f"postgresql://stampede:{CANARY}@db/orders",
        f"password={CANARY}",
        f"{{'password': '{CANARY}', 'x': 1}}",
        f'{{"refresh_token":"{CANARY}"}}',
        f"sk_live_{CANARY.replace('-', '')}",
        f"{CANARY}@example.com",
        f"duplicate key\nDETAIL:  Failing row contains (usr_1, {CANARY}, 1).\nHINT: none",
    ],
)
def test_what_looks_like_a_secret_is_masked(lines: Lines, text: str) -> None:
    structlog.get_logger().error(text, error=text, all=[text], nested={"a": (text,)})
    try:
        raise RuntimeError(text)  # noqa: TRY301 - an exception with a trace is what is needed
    except RuntimeError:
        structlog.get_logger().exception("failed")
        logging.getLogger("library").exception(text)
    told = json.dumps(lines())
    for secret in (CANARY, CANARY.replace("-", ""), JWT):
        assert secret not in told
    assert "***" in told


def test_what_is_no_secret_is_left_alone() -> None:
    for text in (
        "supervisor.acts StartHost(node='abc', index=0)",
        "ord_4f6a at 12:30:01, sku LAPTOP-001, 3 of 5 tokens left",
        "OutcomeUnknown('no reply within the deadline')",
        "http://127.0.0.1:8000/health",
    ):
        assert masked_text(text) == text


def test_a_guests_cart_is_not_named_and_an_accounts_is(lines: Lines) -> None:
    structlog.get_logger().error("entity.decide_failed", entity=("cart", CANARY))
    structlog.get_logger().error("entity.decide_failed", entity=("cart", "usr_1"))
    assert [line["entity"] for line in lines()] == [["cart", "c4n4***"], ["cart", "usr_1"]]


def test_whatever_is_logged_there_is_one_line_of_it(lines: Lines) -> None:
    class Odd:
        def __repr__(self) -> str:
            return f"<Odd password={CANARY}>"

    loop: list[Any] = []
    loop.append(loop)
    structlog.get_logger().error(
        "a\nb", odd=Odd(), bytes_=b"\xff\x00", loop=loop, surrogate="\ud800", long="x" * 100_000
    )
    (line,) = lines()
    assert CANARY not in json.dumps(line)
    assert len(line["long"]) < 20_000


@pytest.mark.parametrize(
    "text",
    ["a" * 10**6, "@" * 10**6, "a@" * 500_000, "eyJ" * 300_000, "eyJ-" * 250_000, "token " * 150_000, "://" * 300_000],
)
@pytest.mark.timeout(30)
def test_masking_a_long_text_ends(text: str) -> None:
    # In the square of its length each would take many minutes.
    assert masked_text(text)
