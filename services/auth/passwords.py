"""Password hashes: argon2id, made in threads, few at a time as each takes its memory."""

from __future__ import annotations

import asyncio
import ctypes
from contextlib import suppress

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

# After the first hash glibc would take such a block for an everyday size and keep it for the next one, in each thread:
# 60 MB that nobody uses. A fixed threshold (mallopt(3), M_MMAP_THRESHOLD) has it given back.
with suppress(OSError, AttributeError):  # another libc has no such habit
    ctypes.CDLL(None).mallopt(-3, 1024 * 1024)

#: OWASP Password Storage Cheat Sheet: 19 MiB, two passes, one lane.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
#: What a name that does not exist is checked against, so that it takes as long as one that does.
_NOBODY = _HASHER.hash("nobody")
#: Hashes at a time: more would only share the cores, and each holds 19 MiB.
_AT_A_TIME = 2

SHORTEST, LONGEST = 12, 256


class Passwords:
    """Hashes and checks. One for a process."""

    def __init__(self) -> None:
        self._slots = asyncio.Semaphore(_AT_A_TIME)

    async def hash(self, password: str) -> str:
        """Return what is stored of a password."""
        async with self._slots:
            return await asyncio.to_thread(_HASHER.hash, password)

    async def check(self, stored: str | None, password: str) -> bool:
        """Whether the password is right; never for a user that does not exist, and after the same time."""
        async with self._slots:
            right = await asyncio.to_thread(_verify, stored or _NOBODY, password)
        return right and stored is not None

    @staticmethod
    def outdated(stored: str) -> bool:
        """Whether the hash was made with other numbers than today's."""
        return _HASHER.check_needs_rehash(stored)


def _verify(stored: str, password: str) -> bool:
    try:
        return _HASHER.verify(stored, password)
    except (VerificationError, InvalidHashError):
        return False
