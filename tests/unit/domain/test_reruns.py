"""The region sends a placement again after its host died: the same attempt runs twice, the first run's messages roam."""

from actors.domain import inventory as stock
from actors.domain import order as orders
from actors.domain.steps import AskAll, Finished
from tests.unit.domain.builders import NOW_MS, place
from tests.unit.domain.checkout_world import Delivery, World

ORDER = ("order", "o")
LIFE_MS = NOW_MS + 8_000


def test_a_straggling_release_of_a_dead_run_does_not_take_the_stock_of_the_rerun() -> None:
    world = World({"A": 1, "B": 1})
    request = place(("A", 1), ("B", 1))
    world.send(ORDER, Delivery(request, "place", LIFE_MS, "f"))
    # The first run cannot reach B, and is giving A back when its host dies.
    while not (isinstance(world.runs[ORDER].step, AskAll) and world.runs[ORDER].step.label == "unwind"):
        run = world.runs[ORDER]
        reserving_b = run.step is not None and sorted(run.out) == [1]
        world.advance(ORDER, 0, "lost" if reserving_b else "ok")
    world.advance(ORDER, 0, "late")
    world.crash(ORDER)
    # The new owner runs the same attempt, and wins.
    again = world.send(ORDER, Delivery(request, "place", LIFE_MS, "f"))
    while world.state(ORDER) is None and not isinstance(world.runs[ORDER].step, Finished):
        world.advance(ORDER)
    assert isinstance(world.state(ORDER), orders.Order)
    for key, straggler in world.stragglers:
        world.send(key, straggler)
    while world.runs:
        world.advance(next(iter(world.runs)))
    assert isinstance(again.reply, orders.OrderAnswer)
    for sku in ("A", "B"):
        state = world.state(("sku", sku))
        assert isinstance(state, stock.Sku)
        assert (state.on_hand, state.reserved, state.sold) == (0, 0, 1)
