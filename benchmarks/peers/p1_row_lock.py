"""P1: FastAPI and asyncpg. The stock is one row; an atomic UPDATE takes its lock until the commit.

The same contract as POST /api/v1/orders: validated body, idempotency key (made if absent), price from the database,
stock that never goes below zero, a durable order before the charge, a payment record after it, 409 when sold out.
The charge is made between two transactions, as it must be with a gateway that is somebody else's; the UPDATE of
the hot row comes last before its commit, so that the lock is held as shortly as can be.
"""

import hashlib
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import asyncpg
import msgspec
from fastapi import FastAPI, Header, Response
from pydantic import BaseModel, ConfigDict, Field

SCHEMA = Path(__file__).with_suffix(".sql")
CONNECTIONS = 32


class Line(BaseModel):
    model_config = ConfigDict(extra="forbid")
    sku: str = Field(max_length=100)
    quantity: int = Field(ge=1, le=10_000, strict=True)


class Address(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str = Field(max_length=200)
    line1: str = Field(max_length=200)
    city: str = Field(max_length=200)
    postalCode: str = Field(max_length=20)  # noqa: N815 - the API's name
    country: str = Field(pattern="^[A-Z]{2}$")


class Method(BaseModel):
    model_config = ConfigDict(extra="forbid")
    type: str
    token: str


class OrderRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")
    userId: str = Field(max_length=100)  # noqa: N815 - the API's name
    email: str = Field(max_length=200)
    items: list[Line] = Field(min_length=1, max_length=1)
    shippingAddress: Address  # noqa: N815 - the API's name
    paymentMethod: Method  # noqa: N815 - the API's name


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    url = os.environ["PEER_DATABASE_URL"]
    async with (
        asyncpg.create_pool(url, min_size=CONNECTIONS, max_size=CONNECTIONS) as pool,
        asyncpg.create_pool(url, min_size=4, max_size=8) as gateway,
    ):
        app.state.pool, app.state.gateway = pool, gateway
        yield


app = FastAPI(lifespan=lifespan)


def answer(status: int, body: dict[str, object]) -> Response:
    return Response(msgspec.json.encode(body), status, media_type="application/json")


@app.post("/api/v1/orders")
async def place(
    request: OrderRequest, idempotency_key: Annotated[str | None, Header(max_length=255)] = None
) -> Response:
    key = idempotency_key or secrets.token_hex(16)
    order_id = "ord_" + hashlib.sha256(f"{request.userId}:{key}".encode()).hexdigest()[:24]
    body = request.model_dump_json()
    fingerprint = hashlib.sha256(body.encode()).digest()
    line = request.items[0]
    async with app.state.pool.acquire() as connection:
        try:
            async with connection.transaction():
                price = await connection.fetchval("SELECT price_minor FROM stock WHERE sku = $1", line.sku)
                if price is None:
                    return answer(404, {"code": "unknown-sku"})
                total = price * line.quantity
                await connection.execute(
                    "INSERT INTO orders (id, user_id, status, fingerprint, total_minor, body)"
                    " VALUES ($1, $2, 'pending', $3, $4, $5)",
                    order_id, request.userId, fingerprint, total, body,
                )  # fmt: skip
                taken = await connection.execute(
                    "UPDATE stock SET on_hand = on_hand - $2 WHERE sku = $1 AND on_hand >= $2", line.sku, line.quantity
                )
                if taken != "UPDATE 1":
                    raise SoldOut
        except SoldOut:
            return answer(409, {"code": "insufficient-stock"})
        except asyncpg.UniqueViolationError:
            return await repeat(connection, order_id, fingerprint)
    await app.state.gateway.execute(
        "INSERT INTO gateway_ledger (key, amount_minor) VALUES ($1, $2) ON CONFLICT DO NOTHING", order_id, total
    )
    async with app.state.pool.acquire() as connection, connection.transaction():
        await connection.execute("UPDATE orders SET status = 'confirmed' WHERE id = $1", order_id)
        await connection.execute(
            "INSERT INTO payments (order_id, amount_minor, reference) VALUES ($1, $2, $3)", order_id, total, order_id
        )
    return answer(201, {"id": order_id, "status": "confirmed", "total": total / 100})


async def repeat(connection: asyncpg.pool.PoolConnectionProxy, order_id: str, fingerprint: bytes) -> Response:
    row = await connection.fetchrow("SELECT status, total_minor, fingerprint FROM orders WHERE id = $1", order_id)
    if row is None or row["fingerprint"] != fingerprint:
        return answer(422, {"code": "idempotency-key-reused"})
    return answer(201, {"id": order_id, "status": row["status"], "total": row["total_minor"] / 100})


class SoldOut(Exception):
    """The row had too few units."""
