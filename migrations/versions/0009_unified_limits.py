"""Limits of projects have ids and descriptions; names under which defaults are registered

Revision: 0009, after 0008.
"""

from __future__ import annotations

from uuid import uuid4

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "registered_limits",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("service_id", sa.String(length=64), nullable=False),
        sa.Column("region_id", sa.String(length=255), nullable=True),
        sa.Column("resource_name", sa.String(length=255), nullable=False),
        sa.Column("resource", sa.String(length=300), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_registered_limits")),
        sa.UniqueConstraint("resource", name=op.f("uq_registered_limits_resource")),
    )
    with op.batch_alter_table("registered_limits", schema=None) as batch_op:
        batch_op.create_index("ix_registered_limits_service_id", ["service_id"], unique=False)
    with op.batch_alter_table("quota_limits", schema=None) as batch_op:
        batch_op.add_column(sa.Column("id", sa.String(length=64), nullable=True))
        batch_op.add_column(sa.Column("description", sa.Text(), nullable=True))
    _give_ids()
    with op.batch_alter_table("quota_limits", schema=None) as batch_op:
        batch_op.alter_column("id", existing_type=sa.String(length=64), nullable=False)
        batch_op.create_unique_constraint(op.f("uq_quota_limits_id"), ["id"])


def _give_ids() -> None:
    limits = sa.table("quota_limits", sa.column("project_id"), sa.column("resource"), sa.column("id"))
    connection = op.get_bind()
    keys = connection.execute(sa.select(limits.c.project_id, limits.c.resource)).all()
    if keys:
        given = (limits.c.project_id == sa.bindparam("of"), limits.c.resource == sa.bindparam("what"))
        connection.execute(
            sa.update(limits).where(*given).values(id=sa.bindparam("new")),
            [{"of": project_id, "what": resource, "new": uuid4().hex} for project_id, resource in keys],
        )
