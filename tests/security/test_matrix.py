"""Every route, for every kind of caller: each gets the status that the matrix says (docs/access.md shows it)."""

import pytest

from serve.app import ROUTERS, guarded_routes
from serve.route import GuardedRoute
from tests.security.access_matrix import ENTRIES, ROLES, Caller, expected
from tests.security.things import MISSING, question
from tests.shop_world import Shop

HIDDEN = [
    (key, caller)
    for router in ROUTERS
    for route in router.routes
    if isinstance(route, GuardedRoute)
    for method in route.methods or ()
    for caller in ROLES
    if (entry := ENTRIES.get(key := (method, route.path))) is not None
    and entry.owned
    and expected(route, entry, caller) == 404
]
"""Who must not see the difference, where."""


def routes_of(shop: Shop) -> dict[tuple[str, str], GuardedRoute]:
    app = shop.client._transport.app  # type: ignore[attr-defined]
    return {(method, route.path): route for route in guarded_routes(app) for method in route.methods or ()}


def name_of(key: object) -> str:
    return " ".join(key) if isinstance(key, tuple) else str(key)


async def test_every_route_is_in_the_matrix_and_no_other(shop: Shop) -> None:
    missing = set(routes_of(shop)) - set(ENTRIES)
    assert missing == set(), "add these to tests/security/access_matrix.py"
    assert set(ENTRIES) - set(routes_of(shop)) == set(), "there are no such routes any more"


@pytest.mark.parametrize("key", ENTRIES, ids=name_of)
async def test_every_caller_gets_the_status_of_the_matrix(shop: Shop, key: tuple[str, str]) -> None:
    delivery = {"delta": 100, "reason": "enough for every caller"}
    await shop.client.post("/api/v1/inventory/LAPTOP-001/adjust", json=delivery, headers=shop.admin)
    route, entry = routes_of(shop)[key], ENTRIES[key]
    wanted = {caller: expected(route, entry, caller) for caller in ROLES}
    answers = {caller: await (await question(shop, caller)).ask(*key, entry) for caller in ROLES}
    got = {caller: answer.status_code for caller, answer in answers.items()}
    assert got == wanted, {caller: answer.text[:200] for caller, answer in answers.items()}
    for answer in answers.values():
        assert ("www-authenticate" in answer.headers) == (answer.status_code == 401)


@pytest.mark.parametrize(("key", "caller"), HIDDEN, ids=name_of)
async def test_what_is_somebody_elses_is_answered_like_what_is_not_there(
    shop: Shop, key: tuple[str, str], caller: Caller
) -> None:
    entry = ENTRIES[key]
    there, not_there = await question(shop, caller), await question(shop, caller)
    about, missing = await there.ask(*key, entry), await not_there.ask(*key, entry, missing=True)
    assert about.status_code == missing.status_code == 404
    text = about.text
    for name, found in there.things.made.items():
        text = text.replace(found, MISSING.get(name, found))
    assert text == missing.text
    volatile = {"x-request-id", "content-length"}
    assert {name for name in about.headers if name not in volatile} == {
        name for name in missing.headers if name not in volatile
    }
