"""Finds templates, migrations and static files, in a wheel or in a checkout."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def _bundled(name: str) -> Path:
    packed = _PACKAGE / "_assets" / name
    return packed if packed.is_dir() else _PACKAGE.parent / name


def templates() -> Path:
    return _bundled("templates")


def migrations() -> Path:
    return _bundled("migrations")


def static() -> Path:
    return _PACKAGE / "static"
