"""What keeps other sites out: response headers, the check of who sends a request, form tokens."""

from __future__ import annotations

import hashlib
import hmac
from urllib.parse import urlsplit

from werkzeug.wrappers import Request, Response

from novalite.errors import Forbidden

POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "font-src": "'self'",
    "connect-src": "'self'",
    "form-action": "'self'",
    "frame-src": "'self'",
    "frame-ancestors": "'self'",
    "base-uri": "'none'",
}
_DEFAULT_PORTS = {"http": 80, "https": 443}


def policy_text(**changes: str) -> str:
    """The content security policy; ``changes`` replace directives (``style_src="..."``)."""
    rules = POLICY | {name.replace("_", "-"): value for name, value in changes.items()}
    return "; ".join(f"{name} {value}" for name, value in rules.items())


def add_headers(response: Response) -> Response:
    """The headers every page carries; what a view has set stays."""
    for name, value in {
        "Content-Security-Policy": policy_text(),
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "SAMEORIGIN",
        "Referrer-Policy": "same-origin",  # stricter ones make browsers hide the Origin of our own forms
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
        "Cache-Control": "no-store",
    }.items():
        response.headers.setdefault(name, value)
    return response


def _site(url: str) -> tuple[str, str, int] | None:
    """Scheme, host and port of an origin; None for whatever is not a plain one (``null`` too)."""
    try:
        parts = urlsplit(url)
        port = parts.port or _DEFAULT_PORTS.get(parts.scheme, 0)
    except ValueError:
        return None
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or parts.username is not None:
        return None
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        return None
    return parts.scheme, parts.hostname.lower(), port


def origin_is_ours(origin: str, *, scheme: str, host: str, public_url: str) -> bool:
    """Whether a browser's ``Origin`` is the site it talks to: that of the request's own scheme and ``Host``,
    or that of the configured public URL (RFC 6454; its path does not count)."""
    asked = _site(origin)
    if asked is None:
        return False
    public = urlsplit(public_url)
    return asked in (_site(f"{scheme}://{host}"), _site(f"{public.scheme}://{public.netloc}"))


def refuse_foreign_origin(request: Request, public_url: str) -> None:
    """Raises ``Forbidden`` when the request says it comes from another site. Programs say nothing."""
    origin = request.headers.get("Origin")
    if origin is not None and not origin_is_ours(
        origin, scheme=request.scheme, host=request.host, public_url=public_url
    ):
        raise Forbidden(
            "The request comes from another site.",
            code="ui.foreign_origin",
            hint="Open NovaLite by its own address; behind a proxy, set http.public_url to that address.",
        )


def form_token(session_token: str) -> str:
    """What every form of a session carries: derived from the session, so nothing has to be kept."""
    return hmac.new(session_token.encode(), b"novalite form", hashlib.sha256).hexdigest()


def refuse_forged_form(request: Request, session_token: str, public_url: str) -> None:
    """Raises ``Forbidden`` unless a form was sent by our own page to its own session."""
    refuse_foreign_origin(request, public_url)
    site = request.headers.get("Sec-Fetch-Site", "same-origin")
    given = request.form.get("form_token", "") or request.headers.get("X-Form-Token", "")
    expected = form_token(session_token)
    if site not in ("same-origin", "none") or not hmac.compare_digest(given.encode(), expected.encode()):
        raise Forbidden(
            "The form does not belong to your session.",
            code="ui.forged_form",
            hint="Go back, reload the page and try again.",
        )
