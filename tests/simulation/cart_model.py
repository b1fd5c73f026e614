"""I17: a cart holds what its acknowledged operations left there; of those whose outcome is unknown, either.

A cart here has one user, who does one thing after the other. What may happen later than its place in the log is
branched over: an operation without an answer (it may run at any later time, or never), and the lines of an order that was
placed from the cart (they leave it soon after).
"""

from dataclasses import dataclass
from typing import Any

from actors.domain.cart import AddLine, ClearCart, SetQuantity, TakeLines

Lines = tuple[tuple[str, int], ...]
"""(sku, quantity), sorted."""
BRANCHES_MAX = 20_000


@dataclass(slots=True)
class Changed:
    """An operation of the cart's user. `shown`: the lines in the answer, None if there was none."""

    command: Any
    shown: Lines | None
    may_have_run: bool


@dataclass(slots=True)
class Shown:
    """The cart was read."""

    lines: Lines


@dataclass(slots=True)
class Ordered:
    """An order was made of the cart, or was tried to. `lines`: what it took, filled in at the end; None: nothing."""

    order_id: str
    lines: Lines | None = None


@dataclass(frozen=True, slots=True)
class Branch:
    """One thing that may be true: the lines, what may still run, and which orders' lines must still leave."""

    lines: Lines
    open: tuple[int, ...] = ()
    leaving: tuple[Lines, ...] = ()


def lines_of(cart: Any) -> Lines:
    """The lines of a `Cart`."""
    return tuple(sorted((line.sku, line.quantity) for line in cart.lines))


def applied(lines: Lines, command: Any) -> list[Lines]:
    """What the lines may be after an operation that succeeded."""
    held = dict(lines)
    match command:
        case AddLine(line=line):
            held[line.sku] = held.get(line.sku, 0) + line.quantity
        case SetQuantity(sku=sku, quantity=quantity):
            assert sku is not None
            if sku in held:
                held[sku] = quantity
        case TakeLines(lines=taken):
            for line in taken:
                held[line.sku] = held.get(line.sku, 0) + line.quantity
        case ClearCart(if_version=version):
            return [()] if version is None else [(), lines]  # at another version nothing happens
    return [_lines(held)]


def _lines(held: dict[str, int]) -> Lines:
    return tuple(sorted((sku, quantity) for sku, quantity in held.items() if quantity > 0))


def less(lines: Lines, ordered: Lines) -> Lines:
    taken = dict(ordered)
    return _lines({sku: quantity - taken.get(sku, 0) for sku, quantity in lines})


def breach(log: list[Changed | Shown | Ordered], final: Lines) -> str | None:
    """None if some branch explains everything that was shown, and `final`."""
    branches = {Branch(())}
    for index, entry in enumerate(log):
        branches = _closure(branches, log)
        if len(branches) > BRANCHES_MAX:
            return None  # too uncertain to say anything
        match entry:
            case Shown(lines=lines):
                branches = {branch for branch in branches if branch.lines == lines}
            case Ordered(lines=None):
                pass
            case Ordered(lines=lines):
                assert lines is not None
                branches = {Branch(b.lines, b.open, (*b.leaving, lines)) for b in branches}
            case Changed(shown=None, may_have_run=True):
                branches = {Branch(b.lines, (*b.open, index), b.leaving) for b in branches}
            case Changed(shown=None):
                pass
            case Changed():
                branches = {
                    Branch(after, b.open, b.leaving)
                    for b in branches
                    for after in applied(b.lines, entry.command)
                    if after == entry.shown
                }
        if not branches:
            return f"nothing explains entry {index}: {entry}"
    ends = {branch.lines for branch in _closure(branches, log) if not branch.leaving}
    if final not in ends:
        return f"it holds {final}, and should hold one of {sorted(ends)}"
    return None


def _closure(branches: set[Branch], log: list[Any]) -> set[Branch]:
    """With everything that may have happened meanwhile."""
    found, todo = set(branches), list(branches)
    while todo:
        branch = todo.pop()
        for place, index in enumerate(branch.open):
            rest = branch.open[:place] + branch.open[place + 1 :]
            for after in applied(branch.lines, log[index].command):
                todo += _new(found, Branch(after, rest, branch.leaving))
        for place, ordered in enumerate(branch.leaving):
            rest_leaving = branch.leaving[:place] + branch.leaving[place + 1 :]
            todo += _new(found, Branch(less(branch.lines, ordered), branch.open, rest_leaving))
    return found


def _new(found: set[Branch], branch: Branch) -> list[Branch]:
    if branch in found:
        return []
    found.add(branch)
    return [branch]
