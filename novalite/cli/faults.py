"""Answers that are errors, in each API's shape, told as NovaLite's own families."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from novalite import errors

if TYPE_CHECKING:
    import httpx

_FAMILIES: Mapping[int, type[errors.NovaLiteError]] = {
    400: errors.Invalid,
    401: errors.Unauthenticated,
    403: errors.Forbidden,
    409: errors.Conflict,
    413: errors.TooLarge,
    501: errors.Unsupported,
    503: errors.Busy,
}
_MARKUP = re.compile(r"<[^>]*>")


def check(answer: httpx.Response, *, login: str = "") -> None:
    """Raise the error that ``answer`` tells, if it is one. ``login`` names the credentials being tried."""
    status = answer.status_code
    if 200 <= status < 300:
        return
    message = _message(answer)
    if login and status == 401:
        raise errors.Unauthenticated(
            f"The login was refused: {message}", code="auth.refused", hint=f"The credentials come from {login}."
        )
    if status == 404:
        raise errors.NotFound("object", "", message=message)
    request_id = answer.headers.get("x-openstack-request-id", "")
    if status >= 500 and status not in _FAMILIES:
        raise errors.Failed(
            message, code=f"http.{status}", hint=f"The log tells more about request {request_id}." if request_id else ""
        )
    family = _FAMILIES.get(status, errors.Refused)
    raise family(message, code=f"http.{status}")


def body(answer: httpx.Response) -> Any:
    """The JSON of an answer. Raises ``Failed`` when it is something else."""
    try:
        return answer.json()
    except ValueError as error:
        raise not_an_api(answer) from error


def not_an_api(answer: httpx.Response) -> errors.Failed:
    return errors.Failed(
        f"What answers at {answer.request.url} is not an OpenStack API.",
        code="cloud.foreign",
        hint="Look at the address in your credentials.",
    )


def _message(answer: httpx.Response) -> str:
    found = next(_texts(answer), "")
    text = html.unescape(_MARKUP.sub(" ", found)).strip()
    return text or f"{answer.request.method} {answer.request.url.path} was answered {answer.status_code}."


def _texts(answer: httpx.Response) -> Iterator[str]:
    try:
        body: Any = answer.json()
    except ValueError:
        return
    if not isinstance(body, dict):
        return
    for value in (body, *body.values()):
        if isinstance(value, dict) and isinstance(value.get("message"), str):
            yield value["message"]
        elif isinstance(value, list):
            yield from (each["detail"] for each in value if isinstance(each, dict) and each.get("detail"))
