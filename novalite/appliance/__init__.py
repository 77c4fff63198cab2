"""The composition root: builds everything, starts and stops threads in order."""

from __future__ import annotations

from novalite.appliance.process import serve

__all__ = ["serve"]
