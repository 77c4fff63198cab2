"""What is protected, and each run of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from novalite.cloud.compute.protection_language import Rule, text
from novalite.db.records import Base, Id

SERVER, VOLUME = "server", "volume"
RUNNING, DONE, FAILED = "running", "done", "failed"
PASSED, UNKNOWN = "passed", "unknown"
"""Besides ``RUNNING`` and ``FAILED``: what a test of a copy says."""


class Protection(Base):
    """The protection of a server or volume, which it outlives: its copies do too. ``rules`` are ``every``, ``keep`` and
    ``next_at`` (ISO); ``next_at`` is the first of these, None when there are none. ``run_id`` is the run going on.
    ``test`` is None, or says how often (``every``) the newest copy is booted, what its console must say then
    (``expect``, empty: what systems say that have come up) and within how many ``seconds``."""

    __tablename__ = "protections"

    resource_id: Mapped[str] = mapped_column(Id, primary_key=True)
    resource_type: Mapped[str] = mapped_column(sa.String(16))
    resource_name: Mapped[str] = mapped_column(default="")
    project_id: Mapped[str] = mapped_column(sa.String(64), index=True)
    user_id: Mapped[str] = mapped_column(sa.String(64))
    rules: Mapped[list[Any]] = mapped_column(default=list)
    next_at: Mapped[datetime | None] = mapped_column(index=True)
    run_id: Mapped[str | None] = mapped_column(Id)
    test: Mapped[dict[str, Any] | None] = mapped_column(sa.JSON(none_as_null=True))
    next_test_at: Mapped[datetime | None] = mapped_column(index=True)
    test_id: Mapped[str | None] = mapped_column(Id)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime | None]

    @property
    def parsed(self) -> tuple[Rule, ...]:
        return tuple(Rule(each["every"], each["keep"]) for each in self.rules)

    @property
    def schedule(self) -> str:
        return text(self.parsed)


class ProtectionRun(Base):
    """One run. ``copy_id`` is an image of a server, or a backup of a volume: of the server's root disk, or of the
    volume that is protected. ``facts`` are what a new server needs beside it, with the backups of all its
    volumes (``volumes``); ``frequencies`` the rules it was made for."""

    __tablename__ = "protection_runs"
    __table_args__ = (sa.Index("ix_protection_runs_resource_id_started_at", "resource_id", "started_at"),)

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    resource_id: Mapped[str] = mapped_column(Id)
    resource_type: Mapped[str] = mapped_column(sa.String(16))
    task_id: Mapped[str] = mapped_column(Id)
    frequencies: Mapped[list[str]]
    copy_id: Mapped[str | None] = mapped_column(Id)
    result: Mapped[str] = mapped_column(sa.String(16), default=RUNNING)
    problem: Mapped[str] = mapped_column(sa.Text, default="")
    size_bytes: Mapped[int | None] = mapped_column(sa.BigInteger)
    facts: Mapped[dict[str, Any]] = mapped_column(default=dict)
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]

    @property
    def volumes(self) -> list[dict[str, Any]]:
        """Each volume's backup and what the disk was like, the root disk first."""
        if self.resource_type == SERVER:
            return list(self.facts.get("volumes") or ())
        return [{"backup_id": self.copy_id, "boot_index": 0}] if self.copy_id else []

    @property
    def backup_ids(self) -> list[str]:
        return [str(each["backup_id"]) for each in self.volumes]

    @property
    def image_id(self) -> str | None:
        """Of the root disk, where it is no volume."""
        return None if self.copy_id in self.backup_ids else self.copy_id

    @property
    def parts(self) -> set[str]:
        """Ids of all that the copy consists of."""
        return {*self.backup_ids, *([self.copy_id] if self.copy_id else [])}


class ProtectionTest(Base):
    """One boot of the copy of a run. The guest has the id of this; ``host`` is where room is held for it. ``console``
    is the end of what it said."""

    __tablename__ = "protection_tests"
    __table_args__ = (sa.Index("ix_protection_tests_resource_id_started_at", "resource_id", "started_at"),)

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    resource_id: Mapped[str] = mapped_column(Id)
    run_id: Mapped[str] = mapped_column(Id, index=True)
    task_id: Mapped[str] = mapped_column(Id)
    host: Mapped[str | None]
    expect: Mapped[str] = mapped_column(default="")
    seconds: Mapped[int]
    result: Mapped[str] = mapped_column(sa.String(16), default=RUNNING)
    reason: Mapped[str] = mapped_column(sa.Text, default="")
    console: Mapped[str] = mapped_column(sa.Text, default="")
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
