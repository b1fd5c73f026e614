"""Mail over real connections to a mail server on this machine: what it gets, and what each of its answers means."""

import asyncio
from collections.abc import AsyncIterator

import aiosmtplib
import pytest

from actors.notifications.sender import LEASE_MS, Sender
from actors.notifications.settings import NotificationSettings
from persistence.smtp import mailer as mailer_module
from persistence.smtp.mailer import CONNECTIONS_MAX, SmtpMailer
from persistence.smtp_url import parse_smtp_url
from persistence.stores import open_memory_stores
from tests.contract.test_notifications import message
from tests.integration.mailers import SENDER, fault_of, mailer_of
from tests.servers.smtp import MailServer, mail_server

HTML = "<!doctype html><p>" + "ünï " * 2_000 + "</p>"


@pytest.fixture
async def server() -> AsyncIterator[MailServer]:
    async with mail_server() as running:
        yield running


async def test_a_mail_arrives_whole(server: MailServer) -> None:
    mailer = mailer_of(server)
    await mailer.send(message(7, html_body=HTML, subject="Bestätigt 🎉 " + "x" * 150, created_at_ms=1_700_000_000_000))
    (mail,) = server.mails
    assert mail["From"] == "Ümlaut Shop <shop@example.com>"
    assert mail["To"] == "ada@example.com"
    assert mail["Subject"] == "Bestätigt 🎉 " + "x" * 150
    assert mail["Message-ID"] == "<order.ord_1.7@example.com>"
    assert mail["Date"] == "Tue, 14 Nov 2023 22:13:20 +0000"
    assert mail["Auto-Submitted"] == "auto-generated"
    text, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert text is not None
    assert html is not None
    assert text.get_content().strip() == "Hello ünïcode"
    assert html.get_content().strip() == HTML
    assert mail.get_content_type() == "multipart/alternative"
    await mailer.close()


async def test_every_sending_of_a_message_has_the_same_id(server: MailServer) -> None:
    mailer = mailer_of(server)
    for row in (message(1), message(1, attempts=3), message(2)):
        await mailer.send(row)
    assert server.ids == ["<order.ord_1.1@example.com>"] * 2 + ["<order.ord_1.2@example.com>"]
    await mailer.close()


async def test_a_long_domain_does_not_break_the_id(server: MailServer) -> None:
    domain = f"{'a' * 60}.{'b' * 60}.example"
    mailer = SmtpMailer(parse_smtp_url(f"smtp://127.0.0.1:{server.port}"), ("Shop", f"shop@{domain}"))
    await mailer.send(message(1, event_id="order:ord_" + "x" * 24 + ":1"))
    assert server.ids == [f"<order.ord_{'x' * 24}.1@{domain}>"]
    await mailer.close()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("subject", "Hello\r\nBcc: evil@example.com"),
        ("subject", "Hello\nBcc: evil@example.com"),
        ("subject", "Hello\u2028Bcc: evil@example.com"),
        ("recipient", "ada@example.com\r\nBcc: evil@example.com"),
        ("recipient", "ada@example.com, evil@example.com"),
        ("recipient", "Ada <ada@example.com>"),
        ("recipient", ""),
        ("recipient", "ada"),
        ("recipient", "@"),
    ],
)
async def test_nothing_begins_another_header_or_adds_a_recipient(server: MailServer, field: str, value: str) -> None:
    fault = await fault_of(mailer_of(server), message(1, **{field: value}))
    assert fault.permanent
    assert "evil" not in str(fault)
    assert server.connections == 0


async def test_a_body_ends_neither_the_mail_nor_the_session(server: MailServer) -> None:
    text = "a\n.\nMAIL FROM:<evil@example.com>\r\n.\r\nQUIT\r\n..\n"
    mailer = mailer_of(server)
    await mailer.send(message(1, text_body=text))
    (mail,) = server.mails
    body = mail.get_body(("plain",))
    assert body is not None
    assert body.get_content().splitlines() == text.splitlines()
    await mailer.close()


async def test_a_domain_goes_out_as_the_name_service_has_it(server: MailServer) -> None:
    mailer = mailer_of(server)
    await mailer.send(message(1, recipient="ada@bücher.example"))
    assert server.recipients == ["ada@xn--bcher-kva.example"]
    fault = await fault_of(mailer, message(2, recipient="ädä@example.com"))
    assert fault.permanent
    await mailer.close()


@pytest.mark.parametrize(
    ("step", "reply", "permanent"),
    [
        ("rcpt", "550 5.1.1 <ada@example.com> unknown", True),
        ("rcpt", "552 5.2.2 mailbox full", True),
        ("rcpt", "451 4.7.1 greylisted", False),
        ("data", "554 5.7.1 spam", True),
        ("data", "452 4.3.1 no space", False),
        ("mail", "550 5.7.1 sender not allowed", False),
        ("mail", "421 4.3.2 closing", False),
    ],
)
async def test_what_the_server_says_for_good_is_permanent(
    server: MailServer, step: str, reply: str, permanent: bool
) -> None:
    getattr(server, step).append(reply)
    mailer = mailer_of(server)
    fault = await fault_of(mailer, message(1))
    assert fault.permanent == permanent
    assert reply[:3] in str(fault)
    assert reply[4:9] in fault.reply
    assert "ada@example.com" not in str(fault) + fault.reply
    await mailer.send(message(2))
    assert server.ids == ["<order.ord_1.2@example.com>"]
    await mailer.close()


async def test_no_server_is_temporary_and_names_no_address(unused_tcp_port_: int) -> None:
    mailer = SmtpMailer(parse_smtp_url(f"smtp://shop:secret@127.0.0.1:{unused_tcp_port_}"), SENDER)
    fault = await fault_of(mailer, message(1))
    assert not fault.permanent
    assert "secret" not in str(fault)


@pytest.fixture
def unused_tcp_port_() -> int:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


async def test_a_server_that_says_nothing_is_temporary(monkeypatch: pytest.MonkeyPatch) -> None:
    async def silent(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)

    writers: list[asyncio.StreamWriter] = []
    monkeypatch.setattr(mailer_module, "STEP_TIMEOUT_S", 0.1)
    listening = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    fault = await fault_of(SmtpMailer(parse_smtp_url(f"smtp://127.0.0.1:{port}"), SENDER), message(1))
    assert not fault.permanent
    for writer in writers:
        writer.transport.abort()
    listening.close()
    await listening.wait_closed()


async def test_a_connection_that_is_cut_after_the_content_is_temporary(server: MailServer) -> None:
    server.drop_after_data = 1
    mailer = mailer_of(server)
    assert not (await fault_of(mailer, message(1))).permanent
    await mailer.send(message(1))
    assert server.ids == ["<order.ord_1.1@example.com>"] * 2
    await mailer.close()


async def test_connections_are_few_and_used_again(server: MailServer) -> None:
    mailer = mailer_of(server)
    await asyncio.gather(*(mailer.send(message(n)) for n in range(1, 21)))
    assert len(server.mails) == 20
    assert server.connections <= CONNECTIONS_MAX
    await mailer.send(message(21))
    assert server.connections <= CONNECTIONS_MAX
    await mailer.close()


async def test_a_kept_connection_that_the_server_closed_is_replaced(server: MailServer) -> None:
    mailer = mailer_of(server)
    await mailer.send(message(1))
    for opened in server.protocols:
        opened.transport.abort()
    await mailer.send(message(2))
    assert len(server.mails) == 2
    await mailer.close()


@pytest.mark.parametrize("step", ["noop", "send_message"])
@pytest.mark.parametrize("breaks", [False, True], ids=["given up", "breaks"])
async def test_a_connection_that_is_not_kept_is_closed(
    server: MailServer, monkeypatch: pytest.MonkeyPatch, step: str, breaks: bool
) -> None:
    mailer, reached = mailer_of(server), asyncio.Event()
    await mailer.send(message(1))

    async def stuck(*_arguments: object, **_options: object) -> None:
        reached.set()
        if breaks:
            raise KeyError(step)
        await asyncio.Event().wait()

    monkeypatch.setattr(aiosmtplib.SMTP, step, stuck)
    sending = asyncio.create_task(mailer.send(message(2)))
    await reached.wait()
    sending.cancel()
    await asyncio.wait([sending])
    (served,) = server.protocols
    async with asyncio.timeout(5):
        while served.transport is not None and not served.transport.is_closing():  # noqa: ASYNC110 - the server is what is waited for
            await asyncio.sleep(0.005)


async def test_a_login_is_needed_and_right(monkeypatch: pytest.MonkeyPatch) -> None:
    # The server does not answer after the first of several ways to log in has failed.
    monkeypatch.setattr(mailer_module, "STEP_TIMEOUT_S", 0.5)
    async with mail_server(auth=True) as server:
        right = mailer_of(server, "smtp://shop:p%40ss%3Aw%2Frd@127.0.0.1:{port}")
        await right.send(message(1))
        assert len(server.mails) == 1
        await right.close()
        for url in ("smtp://shop:wrong@127.0.0.1:{port}", "smtp://127.0.0.1:{port}"):
            fault = await fault_of(mailer_of(server, url), message(2))
            # Whoever runs the shop can put this right: no mail is lost by it.
            assert not fault.permanent
            assert "wrong" not in str(fault) + fault.reply


# --- the sender, over it ---------------------------------------------------------------------------


async def test_a_crash_after_the_server_took_it_is_one_more_with_the_same_id(server: MailServer) -> None:
    now_ms = 1_000
    stores = open_memory_stores(lambda: now_ms)
    await stores.notifications.add([message(1)])
    server.hang = asyncio.Event()

    def sender(mailer: SmtpMailer) -> Sender:
        settings = NotificationSettings(stop_settle_ms=0)
        return Sender(stores.notifications, {"email": mailer}, lambda: now_ms, settings=settings)

    first = mailer_of(server)
    crashing = asyncio.create_task(sender(first).run())
    async with asyncio.timeout(5):
        while not server.mails:  # noqa: ASYNC110 - the server is what is waited for
            await asyncio.sleep(0.005)
    crashing.cancel()
    await asyncio.wait([crashing])
    server.hang.set()
    server.hang = None
    second = mailer_of(server)
    assert await sender(second).send_due() == 0
    now_ms += LEASE_MS
    assert await sender(second).send_due() == 1
    assert server.ids == ["<order.ord_1.1@example.com>"] * 2
    row = await stores.notifications.by_id("ntf_1")
    assert row is not None
    assert row.status == "sent"
    await second.close()


async def test_a_server_that_comes_back_gets_everything() -> None:
    now_ms = 1_000
    stores = open_memory_stores(lambda: now_ms)
    await stores.notifications.add([message(n) for n in range(1, 6)])
    async with mail_server() as server:
        port = server.port
    mailer = SmtpMailer(parse_smtp_url(f"smtp://127.0.0.1:{port}"), SENDER)
    sender = Sender(stores.notifications, {"email": mailer}, lambda: now_ms)
    assert await sender.send_due() == 5
    now_ms += 10_000
    async with mail_server(port=port) as back:
        assert await sender.send_due() == 5
        assert len(set(back.ids)) == len(back.ids) == 5
    rows, _ = await stores.notifications.list(order_id=None, status="sent", limit=10, cursor=None)
    assert len(rows) == 5
    await mailer.close()
