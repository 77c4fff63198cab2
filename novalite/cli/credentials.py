"""Whom the command speaks for, and where: a clouds.yaml, OS_* variables, or the local appliance's admin."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from novalite.cli import clouds_file
from novalite.errors import DependencyDown, Invalid, NotFound
from novalite.settings import Secret

if TYPE_CHECKING:
    from novalite.cli.session import Session


_NONE = Secret("")


@dataclass(frozen=True)
class Credentials:
    """``origin`` says where they come from. With an application credential user and project are left out."""

    auth_url: str
    origin: str
    username: str = ""
    password: Secret = _NONE
    project_name: str = ""
    project_id: str = ""
    user_domain: str = "Default"
    project_domain: str = "Default"
    application_credential_id: str = ""
    application_credential_secret: Secret = _NONE
    region: str = ""
    cacert: str = ""
    verify: bool = True


def find(session: Session) -> Credentials:
    """In this order: --cloud, --state-dir, OS_AUTH_URL and its kin, OS_CLOUD, the local appliance."""
    environment = session.environment
    if session.cloud:
        return _of_cloud(session.cloud, session)
    if not session.state_dir:
        if environment.get("OS_AUTH_URL"):
            return _of_environment(environment)
        if environment.get("OS_CLOUD"):
            return _of_cloud(environment["OS_CLOUD"], session)
    return of_appliance(session.state_path)


def of_appliance(state_path: Path) -> Credentials:
    """The admin of the appliance whose state directory this is."""
    path = state_path / "clouds.yaml"
    clouds = clouds_file.read(path) if _exists(path) else {}
    if not clouds:
        raise DependencyDown(
            f"There is no appliance in {state_path}: it holds no clouds.yaml.",
            code="appliance.absent",
            hint="Start one with 'novalite demo' or 'novalite serve', name its --state-dir, or name a --cloud.",
        )
    name, cloud = next(iter(clouds.items()))
    return _from_mapping(cloud, f"cloud {name} in {path}")


def _exists(path: Path) -> bool:
    """False only when it is surely absent: what may not be looked at is reported when it is read."""
    try:
        path.stat()
    except PermissionError:
        return True
    except OSError:
        return False
    return True


def _of_environment(environment: Mapping[str, str]) -> Credentials:
    auth = {name.removeprefix("OS_").lower(): value for name, value in environment.items() if name.startswith("OS_")}
    verify = auth.get("insecure", "").lower() not in ("1", "true", "yes")
    cloud = {
        "auth": auth,
        "region_name": auth.get("region_name", ""),
        "cacert": auth.get("cacert", ""),
        "verify": verify,
    }
    return _from_mapping(cloud, "the OS_* variables")


def _of_cloud(name: str, session: Session) -> Credentials:
    known: list[str] = []
    for path in _places(session):
        if _exists(path):
            clouds = clouds_file.read(path)
            if name in clouds:
                return _from_mapping(clouds[name], f"cloud {name} in {path}")
            known += clouds
    raise NotFound(
        "cloud",
        name,
        message=f"There is no cloud {name} in any clouds.yaml.",
        hint=f"Known are: {', '.join(known)}."
        if known
        else "Looked in the state directory, the current directory, ~/.config/openstack and /etc/openstack.",
    )


def _places(session: Session) -> list[Path]:
    own = session.environment.get("OS_CLIENT_CONFIG_FILE")
    return [
        *([Path(own)] if own else []),
        session.state_path / "clouds.yaml",
        Path("clouds.yaml"),
        Path.home() / ".config" / "openstack" / "clouds.yaml",
        Path("/etc/openstack/clouds.yaml"),
    ]


def _from_mapping(cloud: Mapping[str, Any], origin: str) -> Credentials:
    auth = cloud.get("auth") or {}

    def text(*names: str, default: str = "") -> str:
        return next((str(auth[name]) for name in names if auth.get(name)), default)

    found = Credentials(
        auth_url=text("auth_url"),
        origin=origin,
        username=text("username", "user_name"),
        password=Secret(text("password")),
        project_name=text("project_name", "tenant_name"),
        project_id=text("project_id", "tenant_id"),
        user_domain=text("user_domain_name", "user_domain_id", "default_domain", default="Default"),
        project_domain=text("project_domain_name", "project_domain_id", "default_domain", default="Default"),
        application_credential_id=text("application_credential_id"),
        application_credential_secret=Secret(text("application_credential_secret")),
        region=str(cloud.get("region_name") or ""),
        cacert=str(cloud.get("cacert") or ""),
        verify=str(cloud.get("verify", True)).lower() not in ("false", "no", "0"),
    )
    if found.auth_url and not found.auth_url.startswith(("http://", "https://")):
        raise Invalid(
            f"{found.auth_url} in {origin} is not an http address.",
            field="auth_url",
            code="credentials.malformed",
            hint="It looks like http://HOST:8774/identity/v3.",
        )
    missing = [] if found.auth_url else ["auth_url"]
    if not found.application_credential_id:
        missing += [name for name in ("username", "password") if not getattr(found, name)]
    if missing:
        raise Invalid(
            f"{origin[0].upper()}{origin[1:]} lacks {' and '.join(missing)}.",
            field=missing[0],
            code="credentials.incomplete",
            hint="Each of them is needed to log in.",
        )
    return found
