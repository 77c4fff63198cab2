"""Opens the store of backups that the settings name."""

from __future__ import annotations

import configparser
import os
from collections.abc import Mapping
from pathlib import Path

from novalite.drivers.storage.backups import PieceBackups
from novalite.drivers.storage.objects import DirectoryObjects, Objects
from novalite.drivers.storage.sealed_objects import SealingKey
from novalite.errors import Invalid
from novalite.settings import Backups

_NAMES = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")


def open_store(
    options: Backups, state_path: Path, appliance_id: str, environment: Mapping[str, str] = os.environ
) -> PieceBackups:
    """Asks nothing of the place yet. Raises ``Invalid`` that names the setting."""
    key = SealingKey.of_file(options.key_file) if options.key_file else None
    return PieceBackups(_objects(options, state_path, environment), appliance_id, key=key)


def _objects(options: Backups, state_path: Path, environment: Mapping[str, str]) -> Objects:
    if not options.s3_bucket:
        if options.s3_endpoint:
            raise Invalid("backups.s3_endpoint is set, and no bucket is named.", field="backups.s3_bucket")
        return DirectoryObjects(Path(options.directory or state_path / "backups"))
    if options.directory:
        raise Invalid("Backups are kept in a directory or in a bucket, not in both.", field="backups.s3_bucket")
    if options.s3_endpoint and not options.s3_endpoint.startswith(("https://", "http://")):
        raise Invalid(f"'{options.s3_endpoint}' is no URL with https:// or http://.", field="backups.s3_endpoint")
    access_key, secret_key, token = _credentials(options.s3_credentials_file, environment)
    from novalite.drivers.storage.s3 import Bucket, S3Objects

    return S3Objects(
        Bucket(
            options.s3_bucket, options.s3_region, access_key, secret_key, token, endpoint=options.s3_endpoint,
            prefix=options.s3_prefix, authority=_authority(options.s3_ca_file),
        )
    )  # fmt: skip


def _credentials(path: str, environment: Mapping[str, str]) -> tuple[str, str, str]:
    """The key, its secret, and a token of passing ones."""
    found = _credentials_in(path) if path else {name: environment.get(name.upper(), "") for name in _NAMES}
    key, secret, token = (found.get(name, "") for name in _NAMES)
    if not key or not secret:
        raise Invalid(
            f"There are no credentials for the bucket in {path or 'the environment'}.",
            field="backups.s3_credentials_file",
            hint="It takes [default], aws_access_key_id = … and aws_secret_access_key = …, a line each.",
        )
    return key, secret, token


def _credentials_in(path: str) -> Mapping[str, str]:
    try:
        if Path(path).stat().st_mode & 0o007:
            raise Invalid(f"{path} is open to everybody on this machine.", field="backups.s3_credentials_file",
                          hint=f"chmod 600 {path}")  # fmt: skip
        parser = configparser.ConfigParser(interpolation=None)
        parser.read_string(Path(path).read_text())
    except OSError as error:
        raise Invalid(f"{path} cannot be read: {error.strerror}.", field="backups.s3_credentials_file") from error
    except (configparser.Error, ValueError):  # not told on: the text of the error quotes the file
        raise Invalid(f"{path} is not what credentials of S3 are written like.",
                      field="backups.s3_credentials_file") from None  # fmt: skip
    return dict(parser["default"]) if parser.has_section("default") else {}


def _authority(path: str) -> bytes:
    try:
        return Path(path).read_bytes() if path else b""
    except OSError as error:
        raise Invalid(f"{path} cannot be read: {error.strerror}.", field="backups.s3_ca_file") from error
