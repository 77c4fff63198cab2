"""A small client of OpenStack's APIs: logs in once, keeps the token in memory, tells errors as NovaLite does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx

from novalite.cli import faults
from novalite.errors import DependencyDown, Failed, Invalid, Unsupported

if TYPE_CHECKING:
    from novalite.cli.credentials import Credentials

# Late enough to name flavors inside servers and hosts by UUID, early enough that hosts still tell their use.
COMPUTE_VERSION = "2.79"
# Late enough for snapshots and growth of what is in use.
VOLUME_VERSION = "3.66"
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_SUFFIXES = {"image": "/v2", "network": "/v2.0"}


class Client:
    """Speaks for one user to one cloud. Not for several threads at once."""

    def __init__(self, credentials: Credentials, *, transport: httpx.BaseTransport | None = None) -> None:
        self.credentials = credentials
        self._http = httpx.Client(
            timeout=httpx.Timeout(60.0, connect=5.0),
            transport=transport,
            follow_redirects=False,
            verify=_verification(credentials),
            trust_env=urlsplit(credentials.auth_url).hostname not in _LOOPBACK,
        )
        self._token: dict[str, Any] = {}
        self._token_id = ""

    @property
    def token(self) -> Mapping[str, Any]:
        """What the identity service said about the token: user, project, roles, catalog, expires_at."""
        if not self._token:
            self._log_in()
        return self._token

    @property
    def token_id(self) -> str:
        if not self._token_id:
            self._log_in()
        return self._token_id

    @property
    def project_id(self) -> str:
        project = self.token.get("project")
        if not project:
            raise Invalid(
                "The credentials name no project.",
                field="project_name",
                code="credentials.no_project",
                hint=f"Add a project_name to {self.credentials.origin}.",
            )
        return str(project["id"])

    @property
    def base_url(self) -> str:
        """Where the appliance itself answers, without the prefix of an API."""
        base, found, _ = self.credentials.auth_url.rpartition("/identity")
        if not found:
            raise Unsupported(
                f"{self.credentials.auth_url} is not a NovaLite appliance.",
                code="appliance.foreign",
                hint="This command asks an appliance about itself.",
            )
        return base

    def get(self, service: str, path: str, **params: Any) -> Any:
        """The JSON at ``path`` of the service's endpoint."""
        return faults.body(self.request("GET", service, path, params=params))

    def post(self, service: str, path: str, body: Any) -> Any:
        """The JSON of the answer; None when it has no body."""
        answer = self.request("POST", service, path, json=body)
        return faults.body(answer) if answer.content else None

    def put(self, service: str, path: str, body: Any) -> Any:
        answer = self.request("PUT", service, path, json=body)
        return faults.body(answer) if answer.content else None

    def delete(self, service: str, path: str) -> None:
        self.request("DELETE", service, path)

    def collection(self, service: str, path: str, key: str, **params: Any) -> list[dict[str, Any]]:
        """Every object of a collection, page by page."""
        return self.collection_by("id", service, path, key, **params)

    def collection_by(self, identity: str, service: str, path: str, key: str, **params: Any) -> list[dict[str, Any]]:
        """The same of objects that are named by another field."""
        found: list[dict[str, Any]] = []
        while True:
            answer = self.get(service, path, **params)
            page = answer[key]
            found += page
            links = answer.get(f"{key}_links") or []
            if not page or not (answer.get("next") or any(link.get("rel") == "next" for link in links)):
                return found
            params["marker"] = page[-1][identity]

    def request(
        self,
        method: str,
        service: str,
        path: str,
        *,
        json: Any = None,
        params: Mapping[str, Any] | None = None,
        content: Iterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """One call with the token; a token that died meanwhile is renewed once. Raises NovaLite's errors."""
        url = self._url(service) + path
        answer = self._send(method, url, service, json=json, params=params, content=content, headers=headers)
        if answer.status_code == 401 and content is None:
            self._log_in()
            answer = self._send(method, url, service, json=json, params=params, content=content, headers=headers)
        faults.check(answer)
        return answer

    def stream(self, service: str, path: str, *, offset: int = 0) -> Iterator[bytes]:
        """The bytes at ``path`` from ``offset`` on. Raises ``DependencyDown`` when they are cut off."""
        sent = {"X-Auth-Token": self.token_id, **({"Range": f"bytes={offset}-"} if offset else {})}
        url = self._url(service) + path
        try:
            with self._http.stream("GET", url, headers=sent) as answer:
                if answer.status_code >= 300:
                    answer.read()
                faults.check(answer)
                if offset and answer.status_code != 206:
                    raise Failed(f"{url} cannot be fetched in parts.", code="cloud.no_ranges")
                yield from answer.iter_raw()
        except httpx.TransportError as error:
            raise self._unreachable(url, error) from error

    def _unreachable(self, url: str, error: Exception) -> DependencyDown:
        return DependencyDown(
            f"Nothing answers at {url}: {error or type(error).__name__}.",
            code="cloud.unreachable",
            hint=f"Is it running? The address comes from {self.credentials.origin}.",
        )

    def close(self) -> None:
        self._http.close()

    def _send(
        self, method: str, url: str, service: str, *, headers: Mapping[str, str] | None, **more: Any
    ) -> httpx.Response:
        sent = {"X-Auth-Token": self.token_id, "Accept": "application/json", **(headers or {})}
        if service == "compute":
            sent["OpenStack-API-Version"] = f"compute {COMPUTE_VERSION}"
            sent["X-OpenStack-Nova-API-Version"] = COMPUTE_VERSION
        elif service == "block-storage":
            sent["OpenStack-API-Version"] = f"volume {VOLUME_VERSION}"
        return self._call(method, url, headers=sent, **more)

    def _call(self, method: str, url: str, **more: Any) -> httpx.Response:
        try:
            return self._http.request(method, url, **more)
        except httpx.TransportError as error:
            raise self._unreachable(url, error) from error

    def _log_in(self) -> None:
        base = self.credentials.auth_url.rstrip("/")
        url = f"{base if base.endswith('/v3') else base + '/v3'}/auth/tokens"
        answer = self._call("POST", url, json=_login(self.credentials), headers={"Accept": "application/json"})
        faults.check(answer, login=self.credentials.origin)
        if "X-Subject-Token" not in answer.headers:
            raise faults.not_an_api(answer)
        self._token, self._token_id = faults.body(answer)["token"], answer.headers["X-Subject-Token"]

    def _url(self, service: str) -> str:
        if service == "appliance":
            return self.base_url
        region = self.credentials.region
        for entry in self.token.get("catalog", ()):
            if entry["type"] == service:
                for endpoint in entry["endpoints"]:
                    if endpoint["interface"] == "public" and region in ("", endpoint.get("region_id")):
                        suffix = _SUFFIXES.get(service, "")
                        return str(endpoint["url"]).rstrip("/").removesuffix(suffix) + suffix
        raise Unsupported(
            f"The cloud offers no {service} service" + (f" in region {region}." if region else "."),
            code="catalog.absent",
            hint="Ask its operator, or look at another region.",
        )


def _verification(credentials: Credentials) -> Any:
    if not credentials.verify or not credentials.cacert:
        return credentials.verify
    import ssl

    return ssl.create_default_context(cafile=credentials.cacert)


def _login(credentials: Credentials) -> dict[str, Any]:
    if credentials.application_credential_id:
        secret = {"id": credentials.application_credential_id, "secret": credentials.application_credential_secret}
        return {"auth": {"identity": {"methods": ["application_credential"], "application_credential": secret}}}
    user = {"name": credentials.username, "password": credentials.password, "domain": _domain(credentials.user_domain)}
    body: dict[str, Any] = {"identity": {"methods": ["password"], "password": {"user": user}}}
    if credentials.project_id:
        body["scope"] = {"project": {"id": credentials.project_id}}
    elif credentials.project_name:
        body["scope"] = {"project": {"name": credentials.project_name, "domain": _domain(credentials.project_domain)}}
    return {"auth": body}


def _domain(value: str) -> dict[str, str]:
    return {"id": value} if value == "default" else {"name": value}
