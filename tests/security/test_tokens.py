"""Tokens: only what we signed, for us, in its time, with a password that still holds."""

import base64
import hmac
import json
from typing import Any

import jwt
import pytest

from serve.auth.principal import Role
from serve.auth.tokens import InvalidToken, TokenSigner, signer_of
from tests.http_app import SECRET, START_MS, World, bearer

NOW_S = START_MS // 1_000
OTHER = "another-key-0123456789-abcdefghij-KLMNOP!"


def forge(
    user_id: str, *, key: str = SECRET, kid: Any = "k1", algorithm: str = "HS256", drop: str = "", **changes: Any
) -> str:
    claims: dict[str, Any] = {
        "iss": "stampede", "aud": "stampede-api", "sub": user_id, "role": "customer", "pv": 1,
        "iat": NOW_S, "nbf": NOW_S, "exp": NOW_S + 60, **changes,
    }  # fmt: skip
    claims.pop(drop, None)
    headers = {} if kid is None else {"kid": kid}
    return jwt.encode(claims, key, algorithm=algorithm, headers=headers)


async def profile(world: World, token: str) -> int:
    return (await world.client.get("/api/v1/users/profile", headers=bearer(token))).status_code


async def test_the_forger_of_these_tests_can_make_a_good_one(world: World) -> None:
    user_id = (await world.register())["user"]["id"]
    assert await profile(world, forge(user_id)) == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"key": OTHER},
        {"kid": "k2"},
        {"kid": None},
        {"kid": "../../dev/null"},
        {"kid": ""},
        {"kid": "K1"},
        {"kid": "k1' OR 1=1 --"},
        {"kid": "x" * 2_000},
        {"algorithm": "HS512"},
        {"algorithm": "HS384"},
        {"exp": NOW_S},
        {"exp": NOW_S - 1},
        {"exp": "soon"},
        {"exp": float(NOW_S + 60)},
        {"nbf": NOW_S + 1},
        {"aud": "another-api"},
        {"aud": []},
        {"aud": ["another-api"]},
        {"exp": None},
        {"exp": -1},
        {"nbf": 10**30},
        {"iss": "another"},
        {"pv": 2},
        {"pv": "1"},
        {"pv": True},
        {"role": "root"},
        {"role": "guest"},
        {"sub": "usr_nobody"},
        *({"drop": claim} for claim in ("exp", "nbf", "iat", "aud", "iss", "sub", "pv", "role")),
    ],
)
async def test_a_token_with_one_thing_wrong_is_401(world: World, changes: dict[str, Any]) -> None:
    user_id = (await world.register())["user"]["id"]
    token = forge(changes.pop("sub", user_id), **changes)
    answer = await world.client.get("/api/v1/users/profile", headers=bearer(token))
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid-token")
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_alg_none_is_401(world: World) -> None:
    user_id = (await world.register())["user"]["id"]
    payload = forge(user_id).split(".")[1]
    for algorithm in ("none", "None", "NONE"):
        header = base64.urlsafe_b64encode(json.dumps({"alg": algorithm, "kid": "k1"}).encode()).decode().rstrip("=")
        assert await profile(world, f"{header}.{payload}.") == 401


def encoded(part: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "HS256", "kid": ["k1"]},
        {"alg": "HS256", "kid": {"k1": 1}},
        {"alg": "HS256", "kid": None},
        {"alg": ["HS256"], "kid": "k1"},
        {"alg": "RS256", "kid": "k1"},
        {"alg": "HS256", "kid": "k1", "crit": ["exp"]},
        {"alg": "HS256", "kid": "k2", "jwk": {"kty": "oct", "k": "AAAA"}},
        {"alg": "HS256", "kid": "k2", "jku": "https://evil.example/keys"},
        {},
        [],
        "k1",
    ],
    ids=str,
)
async def test_a_strange_header_is_401(world: World, header: object) -> None:
    """Signed with our key, so that only the header can be the reason."""
    payload = forge((await world.register())["user"]["id"]).split(".")[1]
    signed = f"{encoded(header)}.{payload}"
    digest = hmac.digest(SECRET.encode(), signed.encode(), "sha256")
    assert await profile(world, f"{signed}.{base64.urlsafe_b64encode(digest).decode().rstrip('=')}") == 401


async def test_a_tampered_token_is_401(world: World) -> None:
    token = (await world.register())["token"]
    header, payload, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    claims["role"] = "admin"
    changed = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    assert await profile(world, f"{header}.{changed}.{signature}") == 401
    assert await profile(world, token[:-4] + ("AAAA" if token[-4:] != "AAAA" else "BBBB")) == 401


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer", "Bearer ", "Basic dTpw", "Bearer a.b.c", "Bearer " + "x" * 10_000, "Bearer é", "Token abc"],
)
async def test_nonsense_is_401(world: World, authorization: str) -> None:
    headers = {"Authorization": authorization.encode("latin-1")}
    answer = await world.client.get("/api/v1/users/profile", headers=headers)  # type: ignore[arg-type]
    assert answer.status_code == 401


async def test_a_token_ends_with_its_time_also_when_it_was_seen_before(world: World) -> None:
    token = (await world.register())["token"]
    assert await profile(world, token) == 200
    world.clock.advance(899_999)
    assert await profile(world, token) == 200
    world.clock.advance(1)
    assert await profile(world, token) == 401


def test_keys_rotate_by_kid() -> None:
    old = TokenSigner(kid="k1", keys={"k1": SECRET})
    token = old.issue(subject="usr_1", role=Role.CUSTOMER, now_ms=START_MS, ttl_s=60, password_version=1)
    rotated = TokenSigner(kid="k2", keys={"k1": SECRET, "k2": OTHER})
    assert rotated.verify(token, START_MS).subject == "usr_1"
    fresh = rotated.issue(subject="usr_1", role=Role.CUSTOMER, now_ms=START_MS, ttl_s=60, password_version=1)
    with pytest.raises(InvalidToken):
        old.verify(fresh, START_MS)
    withdrawn = TokenSigner(kid="k2", keys={"k2": OTHER})
    with pytest.raises(InvalidToken):
        withdrawn.verify(token, START_MS)


async def test_a_service_token_is_not_an_account(world: World) -> None:
    token = signer_of(world.settings).issue(subject="svc_a", role=Role.SERVICE, now_ms=START_MS, ttl_s=60)
    assert await profile(world, token) == 403
