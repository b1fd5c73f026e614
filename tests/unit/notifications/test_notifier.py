"""Which messages there are of what happens in the shop, to whom, and that each is there once."""

import msgspec
import pytest

from actors.notifications.settings import NotificationSettings
from persistence.sms_log import SmsLog
from tests.shop_world import ADDRESS, CARD, Shop, eventually
from tests.unit.notifications.feed import Feed, with_mailer

ONE_LAPTOP = [{"sku": "LAPTOP-001", "quantity": 1}]


async def ship(shop: Shop, order_id: str) -> None:
    body = {"carrier": "Blue Parcel", "trackingNumber": "BP-77"}
    answer = await shop.client.post(f"/api/v1/orders/{order_id}/ship", json=body, headers=shop.admin)
    assert answer.status_code == 200, answer.text


async def deliver(shop: Shop, order_id: str) -> None:
    answer = await shop.client.post(f"/api/v1/orders/{order_id}/deliver", headers=shop.admin)
    assert answer.status_code == 200, answer.text


async def refund(shop: Shop, payment_id: str, amount: float | None = None) -> None:
    body = {} if amount is None else {"amount": amount}
    answer = await shop.client.post(f"/api/v1/payments/{payment_id}/refund", json=body, headers=shop.admin)
    assert answer.status_code == 200, answer.text


async def cancel(shop: Shop, order_id: str) -> None:
    body = {"reason": "changed my mind"}
    answer = await shop.client.post(f"/api/v1/orders/{order_id}/cancel", json=body, headers=shop.admin)
    assert answer.status_code == 200, answer.text


async def test_a_new_account_is_welcomed(shop: Shop, feed: Feed) -> None:
    ada = await shop.account()
    await feed.follow()
    (mail,) = [row for row in await feed.messages() if row.user_id == ada.id]
    assert (mail.type, mail.recipient, mail.subject) == ("welcome", "ada@example.com", "Welcome to Stampede")
    assert (mail.event_id, mail.order_id, mail.status) == (f"user:{ada.id}:1", "", "sent")
    assert "Hello Ada," in mail.text_body
    assert "Hello Ada," in mail.html_body


async def test_other_events_of_accounts_tell_nobody(shop: Shop, feed: Feed) -> None:
    ada = await shop.account()
    await feed.follow()
    body = {"current_password": "correct horse", "new_password": "battery staple"}
    answer = await shop.client.post("/api/v1/users/change-password", json=body, headers=ada.headers)
    assert answer.status_code == 200, answer.text
    before = len(await feed.messages())
    events = await feed.news()
    assert {"user.password_changed", "notification.sent"} <= {event.type for event in events}
    await feed.notifier.handle(events)
    assert len(await feed.messages()) == before


async def test_each_step_of_an_order_is_told_once_in_its_order(shop: Shop, feed: Feed) -> None:
    ada = await shop.account()
    order = await shop.buy(ada, 2)
    await ship(shop, order["id"])
    await deliver(shop, order["id"])
    await feed.follow()
    mails = await feed.messages(order["id"])
    assert [mail.type for mail in mails] == ["order_confirmed", "order_shipped", "order_delivered"]
    assert {mail.recipient for mail in mails} == {"ada@example.com"}
    assert all(order["id"] in mail.subject for mail in mails)
    for mail in mails:
        for body in (mail.text_body, mail.html_body):
            for part in ("Hello Ada,", order["id"], "Premium Ultrabook Pro 15", "LAPTOP-001", "2,599.98 USD", "1 Main"):
                assert part in body, (mail.type, part)
        assert ("BP-77" in mail.text_body) == ("BP-77" in mail.html_body) == (mail.type != "order_confirmed")


async def test_the_same_events_again_tell_nothing_more(shop: Shop, feed: Feed) -> None:
    order = await shop.buy(await shop.account())
    events = await feed.news()
    for _ in range(3):
        await feed.notifier.handle(events)
    await feed.notifier.handle(events[-1:])
    await feed.notifier.handle([*reversed(events)])
    assert await feed.types(order["id"]) == ["order_confirmed"]
    told = [
        row.event for row in await shop.stores.outboxes["users"].read(100) if row.event.entity_type == "notification"
    ]
    mails = await feed.messages()
    assert sorted(event.entity_id for event in told) == sorted(mail.id for mail in mails)


async def test_what_was_sent_is_told_without_an_address(shop: Shop, feed: Feed) -> None:
    ada = await shop.account()
    order = await shop.buy(ada)
    await feed.follow()
    (mail,) = await feed.messages(order["id"])
    rows = await shop.stores.outboxes["users"].read(100)
    (row,) = [row for row in rows if row.event.entity_id == mail.id]
    assert (row.topic, row.event.type, row.event.version) == ("notification-events", "notification.sent", 1)
    assert row.event.causation_id == mail.event_id
    assert row.event.correlation_id == mail.correlation_id != ""
    assert msgspec.json.decode(row.event.body) == {
        "notificationId": mail.id, "type": "order_confirmed", "channel": "email", "orderId": order["id"],
        "userId": ada.id,
    }  # fmt: skip


async def test_a_guest_hears_at_the_address_of_the_order(shop: Shop, feed: Feed) -> None:
    answer = await shop.place("guest_1", items=ONE_LAPTOP, paymentMethod=CARD, email="g@example.com")
    await feed.follow()
    (mail,) = await feed.messages(answer.json()["id"])
    assert (mail.type, mail.recipient, mail.user_id) == ("order_confirmed", "g@example.com", "")
    assert "Hello Ada Example," in mail.text_body


async def test_an_order_with_an_address_of_its_own_is_told_there(shop: Shop, feed: Feed) -> None:
    ada = await shop.account()
    answer = await shop.place(ada.id, ada.headers, items=ONE_LAPTOP, paymentMethod=CARD, email="office@example.com")
    await feed.follow()
    (mail,) = await feed.messages(answer.json()["id"])
    assert mail.recipient == "office@example.com"


@pytest.mark.parametrize("paid", [True, False])
async def test_a_cancel_is_told_once_and_says_what_became_of_the_money(shop: Shop, feed: Feed, paid: bool) -> None:
    changes = {"paymentMethod": CARD} if paid else {}
    order = (await shop.place("guest_1", items=ONE_LAPTOP, **changes)).json()
    await cancel(shop, order["id"])
    await feed.follow()
    mails = await feed.messages(order["id"])
    assert [mail.type for mail in mails] == (["order_confirmed"] if paid else []) + ["order_cancelled"]
    text = mails[-1].text_body
    assert "changed my mind" in text
    assert ("We have refunded 1,299.99 USD" in text) == paid
    assert ("You have not been charged" in text) != paid


async def test_every_refund_is_told_once_with_its_amount(shop: Shop, feed: Feed) -> None:
    order = await shop.buy(await shop.account())
    await ship(shop, order["id"])
    await deliver(shop, order["id"])
    await refund(shop, order["paymentId"], 100)
    await refund(shop, order["paymentId"], 200)
    await refund(shop, order["paymentId"])
    await feed.follow()
    texts = [mail.text_body for mail in await feed.messages(order["id"]) if mail.type == "order_refunded"]
    assert len(texts) == 3
    for text, amount, so_far in zip(texts, ("100.00", "200.00", "999.99"), ("100.00", "300.00", ""), strict=True):
        assert f"We have refunded {amount} USD" in text
        assert (f"{so_far} USD is refunded now" in text) == bool(so_far)
    assert "you have everything back" in texts[2]


async def test_a_refund_before_a_cancel_is_told_and_the_cancel_s_own_is_not(shop: Shop, feed: Feed) -> None:
    order = await shop.buy(await shop.account())
    await refund(shop, order["paymentId"], 100)
    await cancel(shop, order["id"])
    await feed.follow()
    assert await feed.types(order["id"]) == ["order_cancelled", "order_confirmed", "order_refunded"]


async def test_an_unpaid_or_declined_order_tells_nothing(shop: Shop, feed: Feed) -> None:
    await shop.place("guest_1", items=ONE_LAPTOP)
    declined = await shop.place("guest_2", items=ONE_LAPTOP, paymentMethod={**CARD, "token": "tok_declined"})
    assert declined.status_code == 402
    await feed.follow()
    assert [mail for mail in await feed.messages() if mail.order_id] == []


async def test_an_order_that_nobody_paid_is_told_when_it_expires(
    shop: Shop, feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.domain.order_rules.UNPAID_TTL_MS", 50)
    order = (await shop.place("guest_1", items=ONE_LAPTOP)).json()

    async def status() -> bool:
        row = (await shop.stores.orders.load([order["id"]]))[order["id"]]
        return row.status == "expired"

    await eventually(status)
    await feed.follow()
    (mail,) = await feed.messages(order["id"])
    assert (mail.type, mail.event_id) == ("order_expired", f"order:{order['id']}:2")
    assert "You have not been charged" in mail.text_body


async def test_a_phone_gets_a_short_text_besides(shop: Shop, feed: Feed) -> None:
    with_mailer(shop.stores, "sms", SmsLog())
    address = {**ADDRESS, "phone": "+1 555 0100"}
    answer = await shop.place("guest_1", items=ONE_LAPTOP, paymentMethod=CARD, shippingAddress=address)
    await feed.follow()
    order_id = answer.json()["id"]
    (sms,) = await feed.messages(order_id, "sms")
    assert (sms.type, sms.recipient, sms.status) == ("order_confirmed", "+1 555 0100", "pending")
    assert (sms.subject, sms.html_body) == ("", "")
    assert sms.text_body == f"Stampede: order {order_id} is confirmed and paid, 1,299.99 USD."
    (mail,) = await feed.messages(order_id)
    assert (mail.event_id, mail.status) == (sms.event_id, "sent")
    assert mail.id != sms.id
    await feed.notifier.handle(await feed.news())
    assert len(await feed.messages(order_id, "sms")) == 1


async def test_with_a_mailer_mail_is_to_be_sent_and_not_yet_told(shop: Shop, feed: Feed) -> None:
    with_mailer(shop.stores, "email", SmsLog())
    order = await shop.buy(await shop.account())
    await feed.follow()
    (mail,) = await feed.messages(order["id"])
    assert (mail.status, mail.attempts, mail.ended_at_ms) == ("pending", 0, None)
    assert [row for row in await shop.stores.outboxes["users"].read(9) if row.event.entity_type != "user"] == []


async def test_the_shop_has_the_name_of_its_settings(shop: Shop) -> None:
    await shop.account()
    feed = Feed(shop.stores, NotificationSettings(shop_name="Ümlaut & Söhne"))
    await feed.follow()
    mail = (await feed.messages())[-1]
    assert mail.subject == "Welcome to Ümlaut & Söhne"
    assert "Ümlaut &amp; Söhne" in mail.html_body
