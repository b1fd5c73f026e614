"""Answers about what administrators and services did."""

from pydantic import Field

from persistence.records import AdminRecord
from serve.clock import iso
from serve.schemas.base import CamelOut


class AdminRecordOut(CamelOut):
    """One thing that was asked for, and the status it got."""

    id: str = Field(examples=["1042"])
    at: str = Field(examples=["2026-01-31T12:00:00.250Z"])
    actor: str = Field(
        examples=["usr_7f9c24e5d1a84b6f9b1e6a0c3d2f4e58"],
        description="an account, a service, or `cli:` and a system user",
    )
    role: str = Field(examples=["admin"])
    method: str = Field(examples=["POST"], description="of the request; CLI for what was done on the command line")
    route: str = Field(examples=["/api/v1/orders/{order_id}/ship"])
    path: str = Field(examples=["/api/v1/orders/ord_k3v9q1x7m2c8b5n4t6w0y1za/ship"])
    status: int = Field(examples=[200], description="499: the caller was gone before the answer; it may have happened")
    request_id: str = Field(examples=["4bf92f3577b34da6a3ce929d0e0e4736"])
    address: str = Field(examples=["203.0.113.7"])

    @classmethod
    def of(cls, record: AdminRecord) -> "AdminRecordOut":
        """The record as it is shown."""
        return cls(
            id=str(record.id),
            at=iso(record.at_ms),
            actor=record.actor,
            role=record.role,
            method=record.method,
            route=record.route,
            path=record.path,
            status=record.status,
            request_id=record.request_id,
            address=record.address,
        )
