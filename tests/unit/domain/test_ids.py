"""Ids that must not be guessed, and names that follow from others."""

from hypothesis import given
from hypothesis import strategies as st

from actors.domain import ids

SECRET = b"s" * 32
parts = st.lists(st.text(max_size=8), min_size=1, max_size=3)


@given(parts, parts)
def test_other_parts_give_another_id(one: list[str], other: list[str]) -> None:
    same = ids.keyed_id("x_", SECRET, *one) == ids.keyed_id("x_", SECRET, *other)
    assert same == (one == other)


def test_an_id_depends_on_the_secret_and_on_who_asks() -> None:
    mine = ids.order_id(SECRET, "usr_1", "key")
    assert mine == ids.order_id(SECRET, "usr_1", "key")
    assert mine.startswith("ord_")
    assert len(mine) == len("ord_") + 24
    others = {
        ids.order_id(b"t" * 32, "usr_1", "key"),
        ids.order_id(SECRET, "usr_2", "key"),
        ids.order_id(SECRET, "usr_1", "other"),
        ids.command_id(SECRET, "usr_1", "POST /orders", "key"),
    }
    assert mine not in others


def test_an_order_and_its_payment_name_each_other() -> None:
    assert ids.payment_id("ord_abc") == "pay_abc"
    assert ids.order_of_payment("pay_abc") == "ord_abc"
    assert ids.reservation_id("ord_abc", "A") == "ord_abc:A"


def test_only_accounts_have_account_ids() -> None:
    assert ids.is_account("usr_1")
    assert not ids.is_account("user_123")
