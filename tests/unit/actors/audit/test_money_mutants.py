"""One thing broken at a time in the money: I4, I5, I12."""

import msgspec
import pytest

from actors.domain import payment
from actors.domain.order import capture_key, refund_key
from actors.registry import ORDER, PAYMENT
from tests.unit.actors.audit.healthy import History


async def test_double_capture_in_the_payment(history: History) -> None:
    captured = history.decoded(history.find("payment.captured", history.of("kept")))
    second = msgspec.structs.replace(captured.attempt, key=capture_key(history.of("kept"), 2))
    history.append("payments", history.of("kept"), msgspec.structs.replace(captured, attempt=second))
    assert {"I4", "I5", "I13"} <= await history.broken()


async def test_double_capture_at_the_gateway(history: History) -> None:
    ledger, key = history.tables.ledger, capture_key(history.of("kept"), 2)
    row = ledger[capture_key(history.of("kept"), 1)]
    ledger[key] = msgspec.structs.replace(row, key=key)
    assert {"I4", "I5"} <= await history.broken()


async def test_refund_missing_of_a_cancelled_order(history: History) -> None:
    order_id = history.of("cancelled")
    refunded = history.find("payment.refunded", order_id)
    events = history.journal("payments").journal[refunded.shard]
    assert events[-1] is refunded, "the last of its shard, or the journal would have a gap"
    events.pop()
    head = history.journal("payments").heads[refunded.shard]
    history.journal("payments").heads[refunded.shard] = msgspec.structs.replace(head, seq=head.seq - 1, low_water=0)
    view = next(
        view for view in history.journal("payments").views.values() if getattr(view, "order_id", "") == order_id
    )
    del history.journal("payments").views[view.id]  # type: ignore[union-attr]
    history.refold(PAYMENT, "payments", order_id)
    assert await history.broken() == {"I4"}


async def test_captured_for_less_than_the_order_costs(history: History) -> None:
    captured = history.find("payment.captured", history.of("kept"))
    attempt = msgspec.structs.replace(history.decoded(captured).attempt, amount=1)
    history.rewrite(captured, attempt=attempt)
    history.refold(PAYMENT, "payments", history.of("kept"))
    assert await history.broken() == {"I4", "I5"}


async def test_captured_though_the_order_was_declined(history: History) -> None:
    kept, declined = history.of("kept"), history.of("declined")
    captured = history.decoded(history.find("payment.captured", kept))
    failed = history.decoded(history.find("payment.failed", declined))
    history.append("payments", declined, msgspec.structs.replace(captured, attempt=failed.attempt))
    assert {"I4", "I5", "I13"} <= await history.broken()


@pytest.mark.parametrize("change", [{"amount_minor": 1}, {"currency": "EUR"}, {"status": "declined"}])
async def test_the_ledger_says_something_else(history: History, change: dict[str, object]) -> None:
    key = capture_key(history.of("kept"), 1)
    history.tables.ledger[key] = msgspec.structs.replace(history.tables.ledger[key], **change)
    assert await history.broken() == {"I5"}


@pytest.mark.parametrize("kind", ["capture", "refund"])
async def test_the_ledger_knows_nothing_of_it(history: History, kind: str) -> None:
    key = capture_key(history.of("kept"), 1) if kind == "capture" else refund_key(history.of("cancelled"), 1)
    del history.tables.ledger[key]
    assert await history.broken() == {"I5"}


async def test_the_gateway_captured_what_the_order_takes_for_declined(history: History) -> None:
    key = capture_key(history.of("declined"), 1)
    history.tables.ledger[key] = msgspec.structs.replace(history.tables.ledger[key], status="succeeded")
    assert await history.broken() == {"I5"}


async def test_a_movement_that_no_order_asked_for(history: History) -> None:
    row = history.tables.ledger[capture_key(history.of("kept"), 1)]
    history.tables.ledger["ord_x:capture:1"] = msgspec.structs.replace(row, key="ord_x:capture:1")
    assert await history.broken() == {"I5"}


async def test_a_refund_that_the_order_did_not_ask_for(history: History) -> None:
    given = payment.PaymentRefunded(key=refund_key(history.of("kept"), 1), amount=5, reference="r", at_ms=0)
    history.append("payments", history.of("kept"), given)
    assert await history.broken() == {"I4", "I5"}


async def test_wrong_total(history: History) -> None:
    created = history.find("order.created", history.of("unpaid"))
    amounts = msgspec.structs.replace(history.decoded(created).amounts, subtotal=1)
    history.rewrite(created, amounts=amounts)
    history.refold(ORDER, "orders", history.of("unpaid"))
    assert await history.broken() == {"I12"}


async def test_sold_at_a_price_that_the_catalog_never_had(history: History) -> None:
    created = history.find("order.created", history.of("unpaid"))
    fields = history.decoded(created)
    lines = tuple(msgspec.structs.replace(line, unit_price=1) for line in fields.lines)
    history.rewrite(created, lines=lines, amounts=msgspec.structs.replace(fields.amounts, subtotal=1))
    history.refold(ORDER, "orders", history.of("unpaid"))
    assert await history.broken() == {"I12"}
