"""Messages as administrators and developers see them."""

import re
from pathlib import Path

import pytest

from tests.contract.test_notifications import kept, message
from tests.http_app import World, open_world
from tests.unit.serve.test_conventions import assert_problem

ORDER = "ord_" + "a" * 24
LIST = "/api/v1/admin/notifications"


def id_of(number: int) -> str:
    return "ntf_" + "abcdefghi"[number] * 24


async def fill(world: World) -> None:
    await world.stores.notifications.add(
        [
            kept(1, id=id_of(1), type="welcome", order_id="", subject="Welcome", user_id="usr_1"),
            message(2, id=id_of(2), order_id=ORDER, attempts=2, error="recipient refused with 451", due_at_ms=9_000),
            message(3, id=id_of(3), order_id=ORDER, channel="sms", recipient="+1 555", subject="", html_body=""),
            kept(4, id=id_of(4), order_id="ord_" + "b" * 24),
        ]
    )


async def test_lists_are_filtered_and_paged(world: World) -> None:
    await fill(world)
    admin = await world.admin()

    async def ids(query: str = "") -> list[str]:
        answer = await world.client.get(f"{LIST}{query}", headers=admin)
        assert answer.status_code == 200, answer.text
        return [row["id"] for row in answer.json()["data"]]

    assert await ids() == [id_of(n) for n in (4, 3, 2, 1)]
    assert await ids(f"?orderId={ORDER}") == [id_of(3), id_of(2)]
    assert await ids("?status=sent") == [id_of(4), id_of(1)]
    assert await ids(f"?orderId={ORDER}&status=failed") == []
    assert await ids("?orderId=nonsense") == []
    first = (await world.client.get(f"{LIST}?limit=3", headers=admin)).json()
    assert await ids(f"?limit=3&cursor={first['meta']['nextCursor']}") == [id_of(1)]


async def test_a_row_has_what_the_contract_says(world: World) -> None:
    await fill(world)
    found = (await world.client.get(f"{LIST}?orderId={ORDER}", headers=await world.admin())).json()["data"][1]
    assert found == {
        "id": id_of(2), "type": "order_confirmed", "channel": "email", "to": "ada@example.com", "subject": "Your order",
        "status": "pending", "orderId": ORDER, "createdAt": "1970-01-01T00:00:00.002Z",
    }  # fmt: skip


async def test_one_is_shown_with_its_text_and_how_its_sending_went(world: World) -> None:
    await fill(world)
    admin = await world.admin()
    mail = (await world.client.get(f"{LIST}/{id_of(2)}", headers=admin)).json()
    assert (mail["text"], mail["html"]) == ("Hello ünïcode", "<p>Hello")
    assert (mail["attempts"], mail["error"]) == (2, "recipient refused with 451")
    assert (mail["nextAttemptAt"], mail["endedAt"]) == ("1970-01-01T00:00:09.000Z", None)
    welcome = (await world.client.get(f"{LIST}/{id_of(1)}", headers=admin)).json()
    assert (welcome["orderId"], welcome["endedAt"]) == (None, "1970-01-01T00:00:00.001Z")
    assert (welcome["nextAttemptAt"], welcome["error"]) == (None, None)
    sms = (await world.client.get(f"{LIST}/{id_of(3)}", headers=admin)).json()
    assert (sms["html"], sms["subject"]) == (None, "")


@pytest.mark.parametrize("unknown", ["ntf_" + "z" * 24, "ntf_", "x", "%00", "ntf_" + "A" * 24, "..%2f"])
async def test_an_unknown_one_is_404(world: World, unknown: str) -> None:
    assert_problem(await world.client.get(f"{LIST}/{unknown}", headers=await world.admin()), 404, "not-found")
    assert (await world.client.get(f"/dev/mail/{unknown}")).status_code == 404


@pytest.mark.parametrize(
    "query", ["status=lost", "cursor=x", "orderId=", "orderId=%00", "limit=0", "to=ada", "orderId=a b"]
)
async def test_bad_queries_name_the_parameter(world: World, query: str) -> None:
    problem = assert_problem(
        await world.client.get(f"{LIST}?{query}", headers=await world.admin()), 422, "invalid-fields"
    )
    assert problem["errors"][0]["parameter"] == query.partition("=")[0]


@pytest.mark.parametrize("path", [LIST, f"{LIST}/{id_of(1)}"])
async def test_messages_are_for_administrators(world: World, path: str) -> None:
    await fill(world)
    assert_problem(await world.client.get(path), 401, "unauthenticated")
    assert_problem(await world.client.get(path, headers=await world.customer()), 403, "forbidden")


# --- the mailbox's pages ---------------------------------------------------------------------------


async def test_the_mailbox_lists_and_shows(world: World) -> None:
    assert "There is no message yet" in (await world.client.get("/dev/mail")).text
    await fill(world)
    page = await world.client.get("/dev/mail")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    for part in (id_of(1), "Welcome", "ada@example.com", "pending", "+1 555", f"/dev/mail?orderId={ORDER}"):
        assert part in page.text
    assert id_of(1) not in (await world.client.get(f"/dev/mail?orderId={ORDER}")).text
    shown = (await world.client.get(f"/dev/mail/{id_of(2)}")).text
    for part in ("Your order", "Hello ünïcode", f'src="/dev/mail/{id_of(2)}/html"', "2 tries: recipient refused"):
        assert part in shown
    sms = (await world.client.get(f"/dev/mail/{id_of(3)}")).text
    assert "<iframe" not in sms
    assert (await world.client.get(f"/dev/mail/{id_of(3)}/html")).status_code == 404


async def test_the_mailbox_is_paged(world: World) -> None:
    await world.stores.notifications.add([kept(n, subject=f"subject-{n}.") for n in range(1, 61)])
    page = (await world.client.get("/dev/mail")).text
    assert "subject-60." in page
    assert "subject-10." not in page
    older = re.search(r'href="(/dev/mail\?cursor=[^"]+)"', page)
    assert older is not None
    page = (await world.client.get(older[1])).text
    assert "subject-10." in page
    assert "Older messages" not in page
    assert_problem(await world.client.get("/dev/mail?cursor=x"), 422, "invalid-fields")


async def test_a_mail_can_do_nothing_but_look_good(world: World) -> None:
    script = "<script>alert(1)</script>"
    await world.stores.notifications.add(
        [
            kept(
                1,
                id=id_of(1),
                subject=script,
                html_body=script,
                text_body=script,
                recipient=f"{script}@x",
                error=script,
            )
        ]
    )
    for path in ("/dev/mail", f"/dev/mail/{id_of(1)}"):
        page = await world.client.get(path)
        assert script not in page.text
        assert "&lt;script&gt;" in page.text
        policy = page.headers["content-security-policy"]
        assert "script-src" not in policy
        assert "default-src 'none'" in policy
        assert page.headers["x-frame-options"] == "DENY"
    mail = await world.client.get(f"/dev/mail/{id_of(1)}/html")
    assert mail.text == script
    policy = mail.headers["content-security-policy"].split("; ")
    assert {"default-src 'none'", "style-src 'unsafe-inline'", "sandbox", "frame-ancestors 'self'"} <= set(policy)
    assert mail.headers["x-frame-options"] == "SAMEORIGIN"
    assert mail.headers["x-content-type-options"] == "nosniff"
    assert mail.headers["cross-origin-opener-policy"] == "unsafe-none"
    assert "<iframe sandbox " in (await world.client.get(f"/dev/mail/{id_of(1)}")).text


async def test_the_mailbox_s_own_style_is_the_one_that_its_policy_admits(world: World) -> None:
    import base64
    import hashlib

    page = await world.client.get("/dev/mail")
    style = re.search(r"<style>(.*?)</style>", page.text, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"'sha256-{digest}'" in page.headers["content-security-policy"]
    assert "style=" not in page.text


async def test_in_production_there_is_no_mailbox(tmp_path: Path) -> None:
    async with open_world(tmp_path, env="production") as world:
        await world.stores.notifications.add([kept(1, id=id_of(1))])
        for path in ("/dev/mail", f"/dev/mail/{id_of(1)}", f"/dev/mail/{id_of(1)}/html"):
            assert_problem(await world.client.get(path), 404, "not-found")
