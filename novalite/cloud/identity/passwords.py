"""Hashes of passwords and of credentials' secrets: slow on purpose, bounded in memory."""

from __future__ import annotations

import threading

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from novalite.errors import Invalid

LONGEST = 4096
# 9 MiB and four passes: OWASP's figure for little memory. Two at a time, so that a flood of logins cannot
# take the memory that guests need.
_hasher = PasswordHasher(time_cost=4, memory_cost=9216, parallelism=1)
_turns = threading.BoundedSemaphore(2)
_NOBODY = "$argon2id$v=19$m=9216,t=4,p=1$U2FsdEZvck5vYm9keVNhbHQ$4g1UHRwTQhKQb6sDPY0PjDbsLe3dqA8R2TCSQ1zQz0s"


def make_hash(password: str) -> str:
    """Raises ``Invalid`` for empty and for overlong ones."""
    if not password or len(password) > LONGEST:
        raise Invalid(f"A password has 1 to {LONGEST} characters.", field="password")
    with _turns:
        return _hasher.hash(password)


def matches(password_hash: str, password: str) -> bool:
    """Whether ``password`` is the one behind the hash; an empty hash takes as long and never matches.

    Never call it inside a unit of work: it takes tens of milliseconds.
    """
    if len(password) > LONGEST:
        return False
    with _turns:
        try:
            _hasher.verify(password_hash or _NOBODY, password)
        except (VerificationError, InvalidHashError):
            return False
    return bool(password_hash)
