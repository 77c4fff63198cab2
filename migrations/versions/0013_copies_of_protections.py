"""Images and backups that protections have made

Revision: 0013, after 0012.
"""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_AT_ONCE = 500


def upgrade() -> None:
    for table in ("images", "volume_backups"):
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.add_column(
                sa.Column("by_protection", sa.Boolean(), server_default=sa.text("false"), nullable=False)
            )
    parts = sorted(set(_parts()))
    for table in ("images", "volume_backups"):
        rows = sa.table(table, sa.column("id", sa.String), sa.column("by_protection", sa.Boolean))
        for begin in range(0, len(parts), _AT_ONCE):
            made = rows.c.id.in_(parts[begin : begin + _AT_ONCE])
            op.execute(sa.update(rows).where(made).values(by_protection=True))


def _parts() -> Iterator[str]:
    """Ids of all that runs have made."""
    runs = sa.table("protection_runs", sa.column("copy_id", sa.String), sa.column("facts", sa.JSON))
    for copy_id, facts in op.get_bind().execute(sa.select(runs.c.copy_id, runs.c.facts)):
        if copy_id:
            yield copy_id
        yield from (str(each["backup_id"]) for each in (facts or {}).get("volumes") or ())
