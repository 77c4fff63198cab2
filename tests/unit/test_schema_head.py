"""The program and its migrations agree on the newest revision."""

from __future__ import annotations

from alembic.config import Config
from alembic.script import ScriptDirectory

from novalite import assets
from novalite.db import migrate


def test_the_newest_revision_is_the_one_the_program_expects() -> None:
    config = Config()
    config.set_main_option("script_location", str(assets.migrations()))
    assert ScriptDirectory.from_config(config).get_heads() == [migrate.HEAD]
