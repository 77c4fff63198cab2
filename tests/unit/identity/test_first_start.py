"""The first administrator, and the files that say how to log in."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

from novalite.cloud.identity import bootstrap, credentials, passwords, roles
from novalite.context import internal
from novalite.db.work import Database


def test_bootstrap_makes_an_admin_once(database: Database) -> None:
    with database.write(internal()) as w:
        assert not bootstrap.has_admin(w)
        first = bootstrap.first_admin(w, "one")
    with database.write(internal()) as w:
        again = bootstrap.first_admin(w, "two")
        assert bootstrap.has_admin(w)
        held = {role.name for role in roles.held(w, again.id, "project", again.default_project_id or "")}
        system = {role.name for role in roles.held(w, again.id, "system", roles.SYSTEM)}
    assert (again.id, again.password_hash) == (first.id, first.password_hash)
    assert passwords.matches(again.password_hash, "one")
    assert (held, system) == ({"admin", "member", "reader"}, {"admin"})


def test_the_files_are_for_their_owner_only_and_never_overwritten(tmp_path: Path) -> None:
    credentials.write_files(tmp_path, "http://h:1", "first", "R")
    credentials.write_files(tmp_path, "http://h:1", "second", "R")
    for name in (credentials.OPENRC, credentials.CLOUDS):
        path = tmp_path / name
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert "first" in path.read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == [credentials.OPENRC, credentials.CLOUDS]


def test_a_shell_reads_any_password(tmp_path: Path) -> None:
    password = 'it\'s $HOME `x` "q" \\'
    credentials.write_files(tmp_path, "http://h:1", password, "R")
    script = f'. {tmp_path}/{credentials.OPENRC}; printf %s "$OS_PASSWORD"'
    read = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True, env=dict(os.environ))
    assert read.stdout == password


def test_the_files_follow_a_new_address(tmp_path: Path) -> None:
    credentials.write_files(tmp_path, "http://h:1", "pw", "R")
    credentials.point_files_to(tmp_path, "https://cloud.example:8774")
    for name in (credentials.OPENRC, credentials.CLOUDS):
        text = (tmp_path / name).read_text()
        assert "https://cloud.example:8774/identity/v3" in text
        assert "http://h:1" not in text
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600


@pytest.mark.parametrize("password", ["", "x" * 5000])
def test_empty_and_endless_passwords_never_match(password: str) -> None:
    assert not passwords.matches(passwords.make_hash("right"), password)
    assert not passwords.matches("", password)
    assert not passwords.matches("rubbish", password)
