"""Structured logging: key-value events, as JSON or for a console, with bound ids. How much each component logs may be
changed while the process runs."""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_PREFIX = "novalite."
_components: set[str] = set()
_chosen: dict[str, int] = {}
_usual = logging.INFO


def configure(*, level: str = "INFO", json: bool = False) -> None:
    """Set up the one log stream (stderr). ``level`` is a name from the ``logging`` module."""
    global _usual
    _usual = getattr(logging, level.upper(), logging.INFO)
    renderer: Any = structlog.processors.JSONRenderer() if json else structlog.dev.ConsoleRenderer(colors=False)
    structlog.configure(
        processors=[
            _drop_what_is_too_much,
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.NOTSET),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=max(_usual, logging.WARNING), stream=sys.stderr)


def get(name: str) -> Any:
    """A logger that names the component it speaks for."""
    _components.add(name)
    return structlog.get_logger(component=name)


def levels(prefix: str = "") -> dict[str, str]:
    """Components whose name (``novalite.conductor``) begins so, and how much they log."""
    return {name: logging.getLevelName(_chosen.get(component, _usual)) for component, name in _named(prefix)}


def set_level(prefix: str, level: str) -> bool:
    """Let these log from ``level`` on, until the process stops. False when there are none."""
    found = _named(prefix)
    _chosen.update({component: getattr(logging, level.upper()) for component, _ in found})
    return bool(found)


def _named(prefix: str) -> list[tuple[str, str]]:
    return [(one, _PREFIX + one) for one in sorted(_components) if (_PREFIX + one).startswith(prefix)]


def _drop_what_is_too_much(logger: Any, method: str, event: Any) -> Any:
    level = logging.ERROR if method == "exception" else getattr(logging, method.upper(), logging.INFO)
    if level < _chosen.get(event.get("component", ""), _usual):
        raise structlog.DropEvent
    return event
