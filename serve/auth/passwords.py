"""Password hashing with bcrypt, off the event loop and bounded."""

import asyncio
import hmac
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import bcrypt

from serve.errors import Problem

PASSWORD_CHARACTERS_MIN: Final = 8
PASSWORD_BYTES_MAX: Final = 72
"""bcrypt reads no further: a longer password would be silently cut."""


def password_bytes(password: str) -> bytes:
    """What of a password is hashed. In normal form C: keyboards differ in how they compose an accented letter."""
    return unicodedata.normalize("NFC", password).encode("utf-8")


class PasswordHasher:
    """Hashes and checks passwords in threads of its own.

    Guarantees: at most `threads_max` at one time and `queue_max` waiting; beyond that `overloaded` (503) at once. A check
    costs the same whether or not there is a hash to check against.
    """

    def __init__(self, *, rounds: int, threads_max: int, queue_max: int) -> None:
        self._rounds = rounds
        self._pool = ThreadPoolExecutor(threads_max, thread_name_prefix="bcrypt")
        self._running_max = threads_max + queue_max
        self._running = 0
        # What unknown accounts are checked against. Made here, so that the first of them costs no more than the next.
        self._decoy = bcrypt.hashpw(b"decoy", bcrypt.gensalt(rounds))

    async def hash(self, password: str) -> str:
        """The hash to store. The password must fit `PASSWORD_BYTES_MAX`."""
        return (await self._run(password_bytes(password), None)).decode("ascii")

    async def matches(self, password: str, stored: str | None) -> bool:
        """Whether the password is the stored one; always False, at equal cost, if `stored` is None."""
        offered = password_bytes(password)
        fits = len(offered) <= PASSWORD_BYTES_MAX
        against = stored.encode("ascii") if stored is not None else self._decoy
        computed = await self._run(offered[:PASSWORD_BYTES_MAX], against)
        return hmac.compare_digest(computed, against) and fits and stored is not None

    def close(self) -> None:
        """Let the threads end."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _run(self, password: bytes, salt: bytes | None) -> bytes:
        if self._running >= self._running_max:
            raise Problem("overloaded", "Too many password checks at the moment.")
        self._running += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, self._hash, password, salt)
        finally:
            self._running -= 1

    def _hash(self, password: bytes, salt: bytes | None) -> bytes:
        return bcrypt.hashpw(password, bcrypt.gensalt(self._rounds) if salt is None else salt)
