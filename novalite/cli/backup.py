"""``novalite backup``: the store of backups, on the machine that made them or on another."""

from __future__ import annotations

from typing import Any

import click

from novalite.cli.commands import Branch
from novalite.cli.session import Session, pass_session
from novalite.errors import Failed

_PATH = "/admin/backup-store"


@click.group(cls=Branch)
def backup() -> None:
    """Backups of volumes, where they are kept."""


@backup.command("list")
@pass_session
def show(session: Session) -> None:
    """Show every backup in the store, those too that no record tells of."""
    found = _whole(session)
    if session.json:
        session.show_one(found, [])
        return
    session.show_list(
        found["backups"],
        [
            ("Backup", lambda each: each["id"]),
            ("Volume", lambda each: each["volume_id"]),
            ("Name", lambda each: each["name"]),
            ("GiB", lambda each: each["size_gib"]),
            ("Of", lambda each: each["data_at"]),
            ("Known", lambda each: each["problem"] or each["known"]),
        ],
    )
    session.say(f"{found['place']}{', encrypted' if found['encrypted'] else ''}, is written to by {_writer(found)}.")


def _whole(session: Session) -> dict[str, Any]:
    """The store with all that is in it, page by page."""
    answer = session.client.get("appliance", _PATH)
    found: dict[str, Any] = answer["backup_store"]
    while answer.get("backups_links"):
        answer = session.client.get("appliance", _PATH, marker=found["backups"][-1]["id"])
        found["backups"] += answer["backup_store"]["backups"]
    return found


def _itself(session: Session) -> dict[str, Any]:
    """The store without looking at what is in it."""
    found: dict[str, Any] = session.client.get("appliance", _PATH, limit=0)["backup_store"]
    return found


def _writer(found: dict[str, Any]) -> str:
    if not found["writer"]:
        return "nobody yet"
    return "this appliance" if found["ours"] else f"another appliance, {found['writer']}"


@backup.command("import")
@click.argument("backup_ids", metavar="[BACKUP]...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All that no record tells of.")
@pass_session
def take(session: Session, backup_ids: tuple[str, ...], everything: bool) -> None:
    """Take backups that are in the store into your project, without the database of the machine that made them."""
    if bool(backup_ids) == everything:
        raise click.UsageError("Name backups, or give --all.")
    if everything:
        found = _whole(session)["backups"]
        backup_ids = tuple(each["id"] for each in found if not each["known"] and not each["problem"])
    taken = [session.client.post("appliance", f"{_PATH}/backups/{each}/import", None)["backup"] for each in backup_ids]
    if session.json:
        session.show_one({"backups": taken}, [])
    session.say(f"{len(taken)} taken; 'openstack volume backup restore' makes volumes of them." if taken
                else "There is nothing that is not known already.")  # fmt: skip


@backup.command("take-over")
@click.option("--yes", is_flag=True, help="Do not ask.")
@pass_session
def take_over(session: Session, yes: bool) -> None:
    """Let this appliance write to the store, in place of one that is no more."""
    found = _itself(session)
    if found["ours"] and found["writer"]:
        session.say(f"{found['place']} is written to by this appliance already.")
        return
    if not yes:
        click.confirm(f"Is the appliance {found['writer']} no more? Both would harm each other's backups.", abort=True)
    session.client.post("appliance", f"{_PATH}/take-over", None)
    if not _itself(session)["ours"]:
        raise Failed("Another appliance took the store over at the same moment.", code="backup.not_ours")
    session.say(f"This appliance writes to {found['place']} from now on.")
