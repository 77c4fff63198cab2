"""Which store the settings name, and what is said when they cannot be followed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from novalite.drivers.storage.backup_places import open_store
from novalite.errors import Invalid
from novalite.settings import Backups

KEYS = {"AWS_ACCESS_KEY_ID": "AK", "AWS_SECRET_ACCESS_KEY": "hush"}


def refusal(tmp_path: Path, environment: dict[str, str] | None = None, **options: Any) -> tuple[str, str]:
    with pytest.raises(Invalid) as told:
        open_store(Backups(**options), tmp_path, "id", environment if environment is not None else KEYS)
    return told.value.field, str(told.value)


def test_a_directory_or_a_bucket(tmp_path: Path) -> None:
    assert open_store(Backups(), tmp_path, "id", {}).place() == str(tmp_path / "backups")
    assert open_store(Backups(directory="/mnt/b"), tmp_path, "id", {}).place() == "/mnt/b"
    assert open_store(Backups(s3_bucket="b"), tmp_path, "id", KEYS).place() == "s3://b"


def test_what_does_not_fit_names_its_setting(tmp_path: Path) -> None:
    assert refusal(tmp_path, s3_endpoint="https://x")[0] == "backups.s3_bucket"
    assert refusal(tmp_path, s3_bucket="b", directory="/x")[0] == "backups.s3_bucket"
    assert refusal(tmp_path, s3_bucket="b", s3_endpoint="ftp://x")[0] == "backups.s3_endpoint"
    assert refusal(tmp_path, s3_bucket="b", s3_ca_file="/nowhere")[0] == "backups.s3_ca_file"
    assert refusal(tmp_path, {}, s3_bucket="b")[0] == "backups.s3_credentials_file"
    assert refusal(tmp_path, key_file="/nowhere")[0] == "backups.key_file"
    short = tmp_path / "short"
    short.touch(mode=0o600)
    short.write_text("secret\n")
    field, told = refusal(tmp_path, key_file=str(short))
    assert (field, "holds no secret" in told) == ("backups.key_file", True)
    short.write_text("s" * 40)
    assert open_store(Backups(key_file=str(short)), tmp_path, "id", {}).keeper().encrypted
    short.chmod(0o644)
    assert "open to everybody" in refusal(tmp_path, key_file=str(short))[1]


def test_credentials_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "credentials"
    options = {"s3_bucket": "b", "s3_credentials_file": str(file)}
    assert refusal(tmp_path, **options)[0] == "backups.s3_credentials_file"
    file.touch(mode=0o600)
    for text in ("", "hush-hush", "[other]\naws_access_key_id = a", "[default]\naws_access_key_id = a"):
        file.write_text(text)
        field, told = refusal(tmp_path, **options)
        assert field == "backups.s3_credentials_file"
        assert "hush" not in told
    file.write_text("[default]\naws_access_key_id = a\naws_secret_access_key = h%u=sh\n")
    assert open_store(Backups(**options), tmp_path, "id", {}).place() == "s3://b"
    file.chmod(0o644)
    assert "open to everybody" in refusal(tmp_path, **options)[1]
