"""The key under which secrets that are needed in clear are kept: a file beside the database, for its owner only."""

from __future__ import annotations

import os
from pathlib import Path

from cryptography.fernet import Fernet

KEY_FILE = "credential-key"


def cipher(state_path: Path) -> Fernet:
    """The appliance's own key, made when it is first needed. Safe to call from several threads at once."""
    path = state_path / KEY_FILE
    if not path.exists():
        _make(path)
    return Fernet(path.read_bytes().strip())


def _make(path: Path) -> None:
    """Complete before anybody can see it; the first of several that make it wins."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(Fernet.generate_key() + b"\n")
        try:
            os.link(draft, path)
        except FileExistsError:
            return
    finally:
        draft.unlink()
