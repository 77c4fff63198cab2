"""The files that hold the first administrator's password: an openrc and a clouds.yaml, for their owner only."""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path

OPENRC, CLOUDS = "admin-openrc", "clouds.yaml"


def new_password() -> str:
    return secrets.token_urlsafe(18)


def openrc(public_url: str, password: str, region: str) -> str:
    """Shell text that makes the ``openstack`` client speak to this cloud as admin."""
    values = {
        "OS_AUTH_URL": f"{public_url}/identity/v3", "OS_USERNAME": "admin", "OS_PASSWORD": password,
        "OS_PROJECT_NAME": "admin", "OS_USER_DOMAIN_NAME": "Default", "OS_PROJECT_DOMAIN_NAME": "Default",
        "OS_REGION_NAME": region, "OS_IDENTITY_API_VERSION": "3",
    }  # fmt: skip
    return "".join(f"export {name}={_quoted(value)}\n" for name, value in values.items())


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "'\\''") + "'"


def clouds_yaml(public_url: str, password: str, region: str) -> str:
    """The same for clients that read clouds.yaml; the cloud is called ``novalite``."""
    return (
        "clouds:\n  novalite:\n    auth:\n"
        f'      auth_url: "{public_url}/identity/v3"\n'
        "      username: admin\n"
        f'      password: "{password}"\n'
        "      project_name: admin\n      user_domain_name: Default\n      project_domain_name: Default\n"
        f'    region_name: "{region}"\n'
        '    identity_api_version: "3"\n'
    )


def write_files(state_path: Path, public_url: str, password: str, region: str) -> None:
    """Write both files, atomically and readable by their owner only; one that exists is left as it is."""
    for name, text in (
        (OPENRC, openrc(public_url, password, region)),
        (CLOUDS, clouds_yaml(public_url, password, region)),
    ):
        _write_once(state_path / name, text)


def _write_once(path: Path, text: str) -> None:
    if path.exists():
        return
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def point_files_to(state_path: Path, public_url: str) -> None:
    """Let both files name the address the appliance answers at now; password and region stay."""
    for name in (OPENRC, CLOUDS):
        path = state_path / name
        if not path.exists():
            continue
        text = path.read_text()
        wanted = re.sub(r"""(['"])https?://[^'"]*/identity/v3\1""", rf"\g<1>{public_url}/identity/v3\g<1>", text)
        if wanted != text:
            path.unlink()
            _write_once(path, wanted)
