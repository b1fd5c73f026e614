"""Merging a guest's cart into another: read the source, take its lines, clear it at the version that was taken.

Each step is keyed by (source, its version), so that whoever repeats the whole after a crash adds nothing twice.
"""

from typing import Final

from actors.domain.cart import Cart, CartAnswer, ClearCart, GetCart, TakeLines
from actors.domain.decision import Rejected
from actors.registry import ENTITY_TYPES
from persistence.ports import Carts
from serve.deps import EntityRefs, EntityReply
from serve.shop.commands import CommandIdentity

ASK_TIMEOUT_MS: Final = 2_000


async def merge_carts(refs: EntityRefs, source_id: str, target_id: str, identity: CommandIdentity) -> EntityReply:
    """The target with the source's lines in it; the source is empty afterwards. A refusal is a reply.

    Refusals: cart-checked-out (an order is being made of the source), too-many-lines, try-again. Raises `ClusterError`:
    repeat it.
    """
    read = await _ask(refs, source_id, GetCart(), _derived(identity, f"read:{source_id}"))
    if not isinstance(read.reply, CartAnswer):
        return read
    source = read.reply.cart
    if source.claim is not None:
        refusal = Rejected(
            "cart-checked-out", "Another order is being made of that cart.", {"orderId": source.claim.order_id}
        )
        return EntityReply(reply=refusal)
    if not source.lines:
        return await _ask(refs, target_id, GetCart(), _derived(identity, f"read:{target_id}"))
    take = TakeLines(source=source_id, source_version=source.version, lines=source.lines)
    # The version is in the id, so that a repeat after the source has changed takes what is new in it.
    taking = CommandIdentity(
        actor=identity.actor,
        command_id=f"{identity.command_id}:{source.version}",
        idempotency=identity.idempotency,
    )
    taken = await _ask(refs, target_id, take, taking)
    if isinstance(taken.reply, CartAnswer):
        await clear_source(refs, source_id, source.version, target_id, identity.actor)
    return taken


async def clear_source(refs: EntityRefs, source_id: str, version: int, target_id: str, actor: str) -> None:
    """Empty the source unless it has changed since this version was taken."""
    clear = ClearCart(if_version=version)
    command_id = f"merged:{source_id}:{version}:{target_id}"
    await _ask(refs, source_id, clear, CommandIdentity(actor=actor, command_id=command_id))


async def finish_merge(refs: EntityRefs, carts: Carts, source_id: str, target_id: str, actor: str) -> None:
    """Clear the source of a merge that was answered before: whoever died after taking the lines left them there."""
    record = (await carts.load([target_id])).get(target_id)
    if record is None:
        return
    target: Cart = ENTITY_TYPES["cart"].decode_state(record.state)
    for merge in target.merges:
        if merge.source == source_id:
            await clear_source(refs, source_id, merge.source_version, target_id, actor)


async def merge_at_login(refs: EntityRefs, guest_cart_id: str, user_id: str) -> None:
    """The `MergeCart` of logins: a refusal leaves the guest's cart where it is, for POST /cart/:userId/merge to take later."""
    identity = CommandIdentity(actor=user_id, command_id=f"login-merge:{guest_cart_id}:{user_id}")
    await merge_carts(refs, guest_cart_id, user_id, identity)


def _derived(identity: CommandIdentity, step: str) -> CommandIdentity:
    return CommandIdentity(actor=identity.actor, command_id=f"{identity.command_id}:{step}")


async def _ask(refs: EntityRefs, cart_id: str, what: object, identity: CommandIdentity) -> EntityReply:
    return await refs.ask(
        "cart",
        cart_id,
        what,
        command_id=identity.command_id,
        idempotency=identity.idempotency,
        actor=identity.actor,
        deadline_ms=ASK_TIMEOUT_MS,
    )
