"""Compiled JSON Schemas whose refusals name the field, in Nova's words."""

from __future__ import annotations

from typing import Any

from jsonschema import Draft4Validator, ValidationError
from jsonschema.exceptions import best_match
from jsonschema.validators import extend

from novalite.api.kit.formats import CHECKER
from novalite.errors import Invalid

_LONGEST_SHOWN = 1024
_SECRET_WORDS = ("pass", "secret", "private_key")


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def _minimum(_validator: Any, least: float, value: Any, _schema: Any) -> Any:
    number = _number(value)
    if number is not None and number < least:
        yield ValidationError(f"{value!r} is less than the minimum of {least!r}")


def _maximum(_validator: Any, most: float, value: Any, _schema: Any) -> Any:
    number = _number(value)
    if number is not None and number > most:
        yield ValidationError(f"{value!r} is greater than the maximum of {most!r}")


# Numbers may come as text in Nova's API; bounds hold for both.
_Validator = extend(Draft4Validator, {"minimum": _minimum, "maximum": _maximum})


def _without_secrets(value: Any, name: str = "") -> Any:
    if any(word in name.lower() for word in _SECRET_WORDS):
        return "***"
    if isinstance(value, dict):
        return {key: _without_secrets(item, str(key)) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_secrets(item) for item in value]
    return value


def without_unknown(value: Any, schema: dict[str, Any]) -> Any:
    """``value`` without the properties that ``schema`` would refuse as additional ones, at any depth."""
    if isinstance(value, list) and isinstance(schema.get("items"), dict):
        return [without_unknown(item, schema["items"]) for item in value]
    known = schema.get("properties", {})
    if not isinstance(value, dict) or not known:
        return value
    closed = schema.get("additionalProperties") is False and "patternProperties" not in schema
    kept = {key: item for key, item in value.items() if key in known or not closed}
    return {key: without_unknown(item, known.get(key, {})) for key, item in kept.items()}


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "..."


class Schema:
    """One JSON Schema (draft 4, as Nova's), checked and compiled once."""

    def __init__(self, document: dict[str, Any], *, place: str = "field/attribute") -> None:
        _Validator.check_schema(document)
        self.document = document
        self._place = place
        self._validator = _Validator(document, format_checker=CHECKER)

    def check(self, value: Any) -> None:
        """Raises ``Invalid`` that names the offending field."""
        if self._validator.is_valid(value):
            return
        error = best_match(self._validator.iter_errors(value))
        steps = [str(step) for step in error.absolute_path]
        if not steps:
            raise Invalid(_short(error.message), field=_field_of(error))
        name = next((step for step in reversed(steps) if not step.isdigit()), "")
        shown = ".".join(step for step in (name, steps[-1]) if step) if steps[-1].isdigit() else name
        secret = _without_secrets(error.instance, name)
        reason = error.message if secret == error.instance else _reason(error)
        raise Invalid(
            f"Invalid input for {self._place} {shown}. Value: {_short(secret)}. {_short(reason)}",
            field=".".join(steps),
        )


def _field_of(error: Any) -> str:
    return ", ".join(error.instance) if isinstance(error.instance, dict) and len(error.instance) < 4 else ""


def _reason(error: Any) -> str:
    """The reason without the value, for fields that hold secrets."""
    if error.validator in ("required", "additionalProperties"):
        return str(error.message)
    return f"It does not satisfy {error.validator} {_short(error.validator_value)}"
