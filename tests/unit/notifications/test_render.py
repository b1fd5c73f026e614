"""What messages look like."""

import msgspec
import pytest

from actors.domain import order
from actors.notifications.render import Rendered, Renderer
from actors.notifications.text import money, one_line
from tests.unit.notifications.orders import CANCELLED, CONFIRMED, MARK, TOKEN, an_order

EVENTS = [
    CONFIRMED,
    order.OrderShipped(carrier="Blue", tracking_number="BP-1", at_ms=1, mark=MARK),
    order.OrderDelivered(at_ms=1, mark=MARK),
    CANCELLED,
    order.OrderExpired(at_ms=1),
    order.RefundCompleted(n=1, at_ms=1),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_every_message_of_an_order_has_what_a_customer_looks_for(event) -> None:
    refunds = (order.RefundRequest(n=1, amount=700, mark=MARK, done=True),)
    shipment = order.Shipment(carrier="Blue", tracking_number="BP-1", shipped_at_ms=1)
    rendered = Renderer("My Shop").order(event, an_order(refunds=refunds, shipment=shipment), "Ada")
    for body in (rendered.text, rendered.html):
        for part in (
            "Hello Ada,", "ord_" + "a" * 24, "Keyboard", "K-1", "10.00 EUR", "20.00 EUR", "Shipping", "4.99 EUR",
            "Tax", "1.01 EUR", "Total", "26.00 EUR", "1 Main Street", "14 November 2023", "My Shop",
        ):  # fmt: skip
            assert part in body, part
        assert TOKEN not in body
    assert "ord_" + "a" * 24 in rendered.subject
    assert rendered.sms.startswith("My Shop: ")
    assert rendered.html.startswith("<!doctype html>")
    assert rendered.html.rstrip().endswith("</html>")


def test_tracking_is_in_both_bodies_once_shipped() -> None:
    shipment = order.Shipment(carrier="Blue", tracking_number="BP-1", shipped_at_ms=1)
    for event in EVENTS[1:3]:
        rendered = Renderer().order(event, an_order(shipment=shipment), "Ada")
        for body in (rendered.text, rendered.html):
            assert "Blue" in body
            assert "BP-1" in body
    bare = Renderer().order(
        order.OrderShipped(carrier="", tracking_number="", at_ms=1, mark=MARK),
        an_order(shipment=order.Shipment(carrier="", tracking_number="", shipped_at_ms=1)),
        "Ada",
    )
    assert "Tracking" not in bare.text + bare.html
    assert bare.sms.endswith("is on its way.")


def test_amounts_that_are_not_there_are_not_listed() -> None:
    amounts = order.Amounts(subtotal=2_000, shipping=0, tax=0, currency="EUR")
    rendered = Renderer().order(CONFIRMED, an_order(amounts=amounts), "Ada")
    assert "Tax" not in rendered.text
    assert "Shipping:" not in rendered.text


def test_html_needs_nothing_from_outside() -> None:
    """No script, no link, no picture, no style sheet: mail clients drop them, and they would tell who reads."""
    pages = [Renderer().order(event, an_order(), "Ada").html for event in EVENTS] + [Renderer().welcome("Ada").html]
    for html in pages:
        for forbidden in ("<script", "<link", "<img", "<style", "href=", "src=", "url(", "http"):
            assert forbidden not in html


NASTY = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='x",
    "{{ 7*7 }}{% raw %}",
    "a\r\nBcc: evil@example.com\r\n\r\nbody",
    "a\x85b\u2028c\u2029d\x0be",
    "\u202egnp.exe",
    "&lt;b&gt;",
    "ünïcödé 漢字 🎉",
]


@pytest.mark.parametrize("text", NASTY)
def test_whatever_customers_and_the_catalog_wrote_stays_one_line_of_text(text: str) -> None:
    places = {"name": text, "line1": text, "line2": text, "city": text, "postal_code": text}
    shipment = order.Shipment(carrier=text, tracking_number=text, shipped_at_ms=1)
    state = an_order(name=text, address=places, shipment=shipment)
    shipped = order.OrderShipped(carrier=text, tracking_number=text, at_ms=1, mark=MARK)
    cancelled = msgspec.structs.replace(CANCELLED, reason=text)
    messages = [Renderer(text).order(event, state, text) for event in (shipped, cancelled)]
    for rendered in [*messages, Renderer(text).welcome(text)]:
        check_harmless(rendered, text)


def check_harmless(rendered: Rendered, text: str) -> None:
    plain = Renderer("x").order(CANCELLED, an_order(), "x").html
    tags = {piece.split(">")[0].split(" ")[0] for piece in rendered.html.split("<")[1:]}
    allowed = {piece.split(">")[0].split(" ")[0] for piece in plain.split("<")[1:]}
    assert tags <= allowed
    assert "onerror=alert(1)>" not in rendered.html
    assert "49" not in rendered.html.replace("499", "").replace("4.99", "")
    for line in (rendered.subject, rendered.sms):
        assert len(line.splitlines()) <= 1
    assert not any(line.startswith("Bcc:") for line in rendered.text.splitlines())
    assert one_line(text)[:50] in rendered.text


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("  a\t b\n", "a b"),
        ("a\x00b", "a b"),
        ("", ""),
        ("\r\n", ""),
        ("a\u202eb", "ab"),
        ("x" * 300, "x" * 199 + "…"),
        ("👩‍👩‍👧", "👩‍👩‍👧"),
    ],
)
def test_one_line(text: str, line: str) -> None:
    assert one_line(text) == line


@pytest.mark.parametrize(
    ("minor", "text"), [(0, "0.00 USD"), (5, "0.05 USD"), (129_999, "1,299.99 USD"), (10**13, "100,000,000,000.00 USD")]
)
def test_money_is_exact(minor: int, text: str) -> None:
    assert money(minor, "USD") == text


def test_a_refund_says_what_it_was_and_what_is_back_by_then() -> None:
    refunds = tuple(
        order.RefundRequest(n=n, amount=amount, mark=MARK, done=True) for n, amount in ((1, 600), (2, 2_000))
    )
    state = an_order(refunds=refunds)
    first = Renderer().order(order.RefundCompleted(n=1, at_ms=1), state, "Ada").text
    assert "We have refunded 6.00 EUR" in first
    assert "6.00 EUR is refunded now" in first
    second = Renderer().order(order.RefundCompleted(n=2, at_ms=1), state, "Ada").text
    assert "We have refunded 20.00 EUR" in second
    assert "you have everything back" in second
