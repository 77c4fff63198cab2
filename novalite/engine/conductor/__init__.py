"""The flows: one file per kind of work, each a list of repeatable steps."""

from __future__ import annotations

from novalite.cloud.compute import carrying_tasks, image_tasks, moving_tasks, protection_tasks, tasks
from novalite.cloud.image import tasks as import_tasks
from novalite.cloud.volume import tasks as volume_tasks
from novalite.engine.conductor import (
    adoptions,
    boot,
    delete,
    evacuate,
    guest_signals,
    image_cache,
    image_import,
    interfaces,
    live_migration,
    look,
    power,
    protection,
    rebuild,
    rescue,
    resize,
    resize_end,
    restore_test,
    server_exports,
    server_imports,
    shelve,
    snapshot,
    soft_delete,
    volume_attach,
    volume_backups,
    volume_copies,
    volume_data,
    volume_managing,
    volume_moves,
    volume_recrypt,
    volume_snapshots,
    volume_swap,
    volume_tuning,
)
from novalite.engine.flow import Flow, Registry

_FLOWS: tuple[Flow, ...] = (
    *adoptions.FLOWS,
    *boot.FLOWS,
    *delete.FLOWS,
    *image_cache.FLOWS,
    *image_import.FLOWS,
    *interfaces.FLOWS,
    *guest_signals.FLOWS,
    *look.FLOWS,
    *power.FLOWS,
    *protection.FLOWS,
    *restore_test.FLOWS,
    *shelve.FLOWS,
    *snapshot.FLOWS,
    *rebuild.FLOWS,
    *rescue.FLOWS,
    *resize.FLOWS,
    *resize_end.FLOWS,
    *evacuate.FLOWS,
    *live_migration.FLOWS,
    *server_exports.FLOWS,
    *server_imports.FLOWS,
    *soft_delete.FLOWS,
    *volume_attach.FLOWS,
    *volume_backups.FLOWS,
    *volume_copies.FLOWS,
    *volume_data.FLOWS,
    *volume_managing.FLOWS,
    *volume_moves.FLOWS,
    *volume_snapshots.FLOWS,
    *volume_recrypt.FLOWS,
    *volume_swap.FLOWS,
    *volume_tuning.FLOWS,
)
_KINDS = (
    *tasks.KINDS, *moving_tasks.KINDS, *image_tasks.KINDS, *protection_tasks.KINDS, *import_tasks.KINDS,
    *volume_tasks.KINDS, *carrying_tasks.KINDS,
)  # fmt: skip


def registry() -> Registry:
    """Every flow of the product. Raises when a kind of task has none: at start, not at the first task."""
    made = Registry()
    for flow in _FLOWS:
        made.add(flow)
    made.complete([kind.kind for kind in _KINDS])
    return made
