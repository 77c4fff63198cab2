"""Tests of the copies that protections make

Revision: 0011, after 0010.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "protection_tests",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("resource_id", sa.String(length=36), nullable=False),
        sa.Column("run_id", sa.String(length=36), nullable=False),
        sa.Column("task_id", sa.String(length=36), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=True),
        sa.Column("expect", sa.String(length=255), nullable=False),
        sa.Column("seconds", sa.Integer(), nullable=False),
        sa.Column("result", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("console", sa.Text(), nullable=False),
        sa.Column("started_at", sa.DateTime(), nullable=False),
        sa.Column("ended_at", sa.DateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_protection_tests")),
    )
    with op.batch_alter_table("protection_tests", schema=None) as batch_op:
        batch_op.create_index("ix_protection_tests_resource_id_started_at", ["resource_id", "started_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_protection_tests_run_id"), ["run_id"], unique=False)
    with op.batch_alter_table("protections", schema=None) as batch_op:
        batch_op.add_column(sa.Column("test", sa.JSON(none_as_null=True), nullable=True))
        batch_op.add_column(sa.Column("next_test_at", sa.DateTime(), nullable=True))
        batch_op.add_column(sa.Column("test_id", sa.String(length=36), nullable=True))
        batch_op.create_index(batch_op.f("ix_protections_next_test_at"), ["next_test_at"], unique=False)
