"""Mails: what people wrote stays text in them, and what must stay secret is in none."""

import logging
from email import message_from_bytes, policy

import msgspec
import pytest
import structlog

from actors.notifications.sender import Sender
from persistence.records import NotificationRow
from persistence.sms_log import SmsLog
from persistence.smtp.message import email_of
from tests.shop_world import ADDRESS, Shop, wall_ms
from tests.unit.notifications.feed import Feed, with_mailer

SCRIPT = "<script>alert(document.cookie)</script>"
TOKEN = "tok_canary_9f3a"
PHONE = "+1 555 0142"
INJECTION = "Blue\r\nBcc: evil@example.com\r\n\r\n<b>hello</b>"


async def mails_of(shop: Shop) -> list[NotificationRow]:
    """Everything that an order with nasty texts is told of, from its payment to its refund."""
    product = {
        "id": "prod-xss", "name": f"Keyboard {SCRIPT}", "price": 10,
        "variants": [{"sku": "XSS-1", "price": 10}],
    }  # fmt: skip
    assert (await shop.client.post("/api/v1/products", json=product, headers=shop.admin)).status_code == 201
    await shop.client.post("/api/v1/inventory/XSS-1/adjust", json={"delta": 9, "reason": "x"}, headers=shop.admin)
    body = {"email": "x@example.com", "password": "canary-Pa55word", "first_name": SCRIPT, "last_name": SCRIPT}
    session = (await shop.client.post("/api/v1/auth/register", json=body)).json()
    headers = {"Authorization": f"Bearer {session['token']}"}
    address = {**ADDRESS, "name": SCRIPT, "line2": INJECTION, "postalCode": INJECTION[:20], "phone": PHONE}
    order = await shop.place(
        session["user"]["id"], headers, items=[{"sku": "XSS-1", "quantity": 1}], shippingAddress=address,
        paymentMethod={"type": "card", "token": "tok_ok"},
    )  # fmt: skip
    assert order.status_code == 201, order.text
    path = f"/api/v1/orders/{order.json()['id']}"
    shipment = {"carrier": INJECTION, "trackingNumber": INJECTION}
    assert (await shop.client.post(f"{path}/ship", json=shipment, headers=shop.admin)).status_code == 200
    assert (await shop.client.post(f"{path}/deliver", headers=shop.admin)).status_code == 200
    feed = Feed(shop.stores)
    await feed.follow()
    found = [*await feed.messages(), *await feed.messages(channel="sms")]
    assert {row.type for row in found} >= {"welcome", "order_confirmed", "order_shipped", "order_delivered"}
    return found


async def test_stored_scripts_stay_text_in_every_mail(shop: Shop) -> None:
    mails = [row for row in await mails_of(shop) if row.channel == "email"]
    for row in mails:
        assert "<script" not in row.html_body
        assert "<b>hello" not in row.html_body
    told = [row for row in mails if row.order_id]
    assert all("&lt;script&gt;alert(document.cookie)&lt;/script&gt;" in row.html_body for row in told)
    assert all(SCRIPT in row.text_body for row in told)


async def test_nothing_that_people_wrote_makes_a_header_or_a_line(shop: Shop) -> None:
    for row in await mails_of(shop):
        assert len(row.subject.splitlines()) <= 1
        assert not any(line.startswith("Bcc:") for line in row.text_body.splitlines())
        if row.channel == "sms":
            assert len(row.text_body.splitlines()) == 1
            continue
        mail = message_from_bytes(email_of(row, ("Shop", "shop@example.com")).as_bytes(), policy=policy.default)
        assert mail["Bcc"] is None
        assert mail["To"] == row.recipient
        assert sorted(mail.keys()) == [
            "Auto-Submitted", "Content-Type", "Date", "From", "MIME-Version", "Message-ID", "Subject", "To",
        ]  # fmt: skip


async def test_neither_mails_nor_logs_nor_events_have_secrets(
    shop: Shop, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    with_mailer(shop.stores, "sms", SmsLog())
    with structlog.testing.capture_logs() as logs:
        declined = await shop.place(
            "guest_canary", items=[{"sku": "LAPTOP-001", "quantity": 1}], email="canary@example.com",
            paymentMethod={"type": "card", "token": TOKEN},
        )  # fmt: skip
        assert declined.status_code == 402
        rows = await mails_of(shop)
        sender = Sender(shop.stores.notifications, shop.stores.mailers, wall_ms)
        while await sender.send_due():
            pass
    text = msgspec.json.encode(rows).decode()
    for secret in (TOKEN, "tok_ok", "canary-Pa55word", "guest_canary", "canary@example.com"):
        assert secret not in text, secret
    seen = capsys.readouterr()
    logged = str(logs) + caplog.text + seen.out + seen.err
    for secret in (TOKEN, "tok_ok", "x@example.com", "canary@example.com", PHONE, "5550142", SCRIPT):
        assert secret not in logged, secret
    assert [entry["to"] for entry in logs if entry["event"] == "sms.sent"] == ["…42"] * 3
    events = [row.event for row in await shop.stores.outboxes["users"].read(1_000)]
    bodies = b"".join(event.body for event in events if event.entity_type == "notification").decode()
    assert bodies
    for secret in ("@", PHONE, "tok_", "<script"):
        assert secret not in bodies, secret


async def test_events_that_cannot_be_read_are_logged_without_their_body(shop: Shop) -> None:
    """The journal's bodies have addresses and payment tokens: an error about one must not repeat it."""
    answer = await shop.place(
        "guest_1", items=[{"sku": "LAPTOP-001", "quantity": 1}], paymentMethod={"token": "tok_ok"}
    )
    feed = Feed(shop.stores)
    broken = [
        msgspec.structs.replace(event, type="order.confirmed", body=event.body.replace(b'"', b"'") + TOKEN.encode())
        for event in await feed.news()
        if event.entity_id == answer.json()["id"]
    ]
    assert broken
    with structlog.testing.capture_logs() as logs:
        await feed.notifier.handle(broken)
    assert {entry["event"] for entry in logs} == {"notifier.passed_over"}
    for secret in (TOKEN, "tok_ok", "guest@example.com"):
        assert secret not in str(logs)
