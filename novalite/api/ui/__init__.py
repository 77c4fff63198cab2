"""The web UI: HTML over the same cloud functions that the APIs call. ``mount`` is its one entrance."""

from novalite.api.ui.app import mount

__all__ = ["mount"]
