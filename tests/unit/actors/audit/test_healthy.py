"""No false alarms: at rest, stopped, and while buyers come and go."""

import asyncio

from actors.audit.facts import INVARIANTS, LIVE, Grace
from actors.audit.run import audit
from actors.domain import order
from persistence.stores import open_memory_audit_reads
from tests.unit.actors.audit.healthy import History, Shop, real_ms, run_shop, stock_up


async def test_a_healthy_history_is_clean_and_was_looked_at(history: History) -> None:
    report = await history.audit()
    assert report.breaches == ()
    assert all(report.checked[invariant] > 0 for invariant in INVARIANTS), report.checked
    assert report.running


async def test_a_stopped_platform_owes_nothing_however_late_it_is(history: History) -> None:
    report = await history.audit(after_ms=10_000_000, grace=LIVE, running=False)
    assert report.breaches == ()
    assert not report.running


async def test_an_empty_platform_is_clean() -> None:
    tables = await run_shop(lambda _shop: asyncio.sleep(0))
    report = await audit(open_memory_audit_reads(real_ms, tables))
    assert report.clean


async def test_no_false_alarm_under_load() -> None:
    impatient = Grace(fresh_ms=1_000, settle_ms=10_000)

    async def story(shop: Shop) -> None:
        await stock_up(shop)
        reads = open_memory_audit_reads(real_ms, shop.tables)
        stop = asyncio.Event()

        async def customer(n: int) -> None:
            turn = 0
            while not stop.is_set():
                turn += 1
                wanted = {"A": 1} if turn % 2 else {"A": 1, "B": 1}
                token = "tok_declined" if turn % 5 == 0 else "tok_ok"
                id_ = await shop.buy(f"{n}/{turn}", token, **wanted)
                await shop.ask("order", id_, order.CancelOrder())

        customers = [asyncio.create_task(customer(n)) for n in range(4)]
        reports = []
        for _ in range(8):
            await asyncio.sleep(0.1)
            reports.append(await audit(reads, grace=impatient, recheck_after_ms=100))
        stop.set()
        await asyncio.gather(*customers)
        assert [report.breaches for report in reports] == [()] * len(reports)
        assert reports[-1].checked["I8"] > 100

    await run_shop(story)
