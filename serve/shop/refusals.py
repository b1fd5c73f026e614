"""Refusals of entities as clients see them."""

from typing import Final

import msgspec

from actors.domain.decision import Rejected
from serve.errors import Problem, not_found, refused
from serve.schemas.money import money_number

_LIKE_ANY_OTHER: Final = frozenset({"order-not-found", "payment-not-found"})
"""What is not there is answered like what is somebody else's."""


def refusal(rejected: Rejected, *, replayed: bool = False) -> Problem:
    """The answer that a refusal becomes. `replayed`: an earlier request with the same key was answered so."""
    if rejected.code in _LIKE_ANY_OTHER:
        return not_found()
    if "left" in rejected.data:
        data = {**rejected.data, "left": money_number(rejected.data["left"])}
        rejected = msgspec.structs.replace(rejected, data=data)
    problem = refused(rejected)
    if replayed:
        problem.headers = {**(problem.headers or {}), "Idempotent-Replayed": "true"}
    return problem
