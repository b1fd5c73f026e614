"""The gateway's ledger: the first movement under a key stands."""

import asyncio

import msgspec
import pytest

from persistence.errors import WriteRefused
from persistence.stores import Stores
from tests.contract.builders import movement


async def test_the_first_movement_under_a_key_stands(stores: Stores) -> None:
    other = msgspec.structs.replace(movement(amount_minor=9), status="declined")
    assert await stores.ledger.put([movement(), movement("k2"), other]) == {
        movement().key: movement(),
        "k2": movement("k2"),
    }
    assert await stores.ledger.put([other]) == {movement().key: movement()}
    assert await stores.ledger.find([movement().key, "k3"]) == {movement().key: movement()}


async def test_concurrent_charges_with_one_key_all_hear_the_same(stores: Stores) -> None:
    puts = [stores.ledger.put([movement("k", amount_minor=n)]) for n in range(1, 7)]
    answers = await asyncio.gather(*puts)
    assert all(answer == answers[0] for answer in answers)
    assert await stores.ledger.find(["k"]) == answers[0]


async def test_a_negative_amount_is_refused(stores: Stores) -> None:
    with pytest.raises(WriteRefused):
        await stores.ledger.put([movement(), movement("k2", amount_minor=-1)])
    assert await stores.ledger.find([movement().key]) == {}


async def test_nothing_asked_nothing_found(stores: Stores) -> None:
    assert await stores.ledger.put([]) == {}
    assert await stores.ledger.find([]) == {}


async def test_an_intent_stands_beside_the_movement_it_leads_to(stores: Stores) -> None:
    intent = msgspec.structs.replace(movement("k#intent"), kind="intent", status="open", reference="pi_1")
    assert await stores.ledger.put([intent, movement("k")]) == {"k#intent": intent, "k": movement("k")}
    assert await stores.ledger.find(["k#intent"]) == {"k#intent": intent}
