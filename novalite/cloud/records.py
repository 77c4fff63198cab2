"""Loads every record, for migrations and for tests that compare schemas."""

from __future__ import annotations

import importlib
import pkgutil

import novalite.cloud as _cloud

for _module in pkgutil.walk_packages(_cloud.__path__, prefix="novalite.cloud."):
    if _module.name != __name__:
        importlib.import_module(_module.name)
