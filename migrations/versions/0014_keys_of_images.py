"""Keys of images that hold encrypted volumes; what was told of keys before named none that there is

Revision: 0014, after 0013.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_RESERVED = ("cinder_encryption_key_id", "cinder_encryption_key_deletion_policy")


def upgrade() -> None:
    op.create_table(
        "image_keys",
        sa.Column("image_id", sa.String(length=36), nullable=False),
        sa.Column("key_id", sa.String(length=36), nullable=False),
        sa.Column("sealed_key", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["image_id"], ["images.id"], name=op.f("fk_image_keys_image_id_images"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("image_id", name=op.f("pk_image_keys")),
    )
    _forget_what_was_told()


def _forget_what_was_told() -> None:
    images = sa.table("images", sa.column("id"), sa.column("properties", sa.JSON(none_as_null=True)))
    connection = op.get_bind()
    for image_id, told in connection.execute(sa.select(images.c.id, images.c.properties)).all():
        if isinstance(told, dict) and any(name in told for name in _RESERVED):
            kept = {name: value for name, value in told.items() if name not in _RESERVED}
            connection.execute(sa.update(images).where(images.c.id == image_id).values(properties=kept))
