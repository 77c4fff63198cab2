"""Networks with several subnets of both IP versions, provider networks, and what ports may have beside addresses

Revision: 0003, after 0002.
"""

from __future__ import annotations

from ipaddress import IPv4Address
from uuid import uuid4

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "network_options",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("value", sa.JSON(none_as_null=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_network_options")),
    )
    op.create_table(
        "physical_networks",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("interface", sa.String(length=64), nullable=False),
        sa.Column("is_lan", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_physical_networks")),
    )
    op.create_table(
        "allocation_pools",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("subnet_id", sa.String(length=36), nullable=False),
        sa.Column("position", sa.SmallInteger(), nullable=False),
        sa.Column("first_ip", sa.String(length=64), nullable=False),
        sa.Column("last_ip", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["subnet_id"], ["subnets.id"], name=op.f("fk_allocation_pools_subnet_id_subnets")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_allocation_pools")),
    )
    with op.batch_alter_table("allocation_pools", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_allocation_pools_subnet_id"), ["subnet_id"], unique=False)

    with op.batch_alter_table("networks", schema=None) as batch_op:
        batch_op.add_column(sa.Column("network_type", sa.String(length=16), server_default="local", nullable=False))
        batch_op.add_column(sa.Column("physical_network", sa.String(length=64), nullable=True))
        batch_op.add_column(sa.Column("segmentation_id", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("lan", sa.Boolean(), server_default=sa.text("(false)"), nullable=False))
        batch_op.add_column(sa.Column("dns_domain", sa.String(length=255), server_default="", nullable=False))
        batch_op.add_column(
            sa.Column("availability_zone_hints", sa.JSON(none_as_null=True), server_default="[]", nullable=False)
        )
        batch_op.add_column(sa.Column("vlan_transparent", sa.Boolean(), nullable=True))

    with op.batch_alter_table("ports", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("ip_allocation", sa.String(length=16), server_default="immediate", nullable=False)
        )
        batch_op.add_column(sa.Column("address_pairs", sa.JSON(none_as_null=True), server_default="[]", nullable=False))
        batch_op.add_column(sa.Column("dhcp_options", sa.JSON(none_as_null=True), server_default="[]", nullable=False))
        batch_op.add_column(sa.Column("dns_domain", sa.String(length=255), server_default="", nullable=False))
        batch_op.add_column(sa.Column("vnic_type", sa.String(length=32), server_default="normal", nullable=False))
        batch_op.add_column(
            sa.Column("binding_profile", sa.JSON(none_as_null=True), server_default="{}", nullable=False)
        )
        batch_op.add_column(
            sa.Column("propagate_uplink_status", sa.Boolean(), server_default=sa.text("(true)"), nullable=False)
        )
        batch_op.add_column(sa.Column("wiring", sa.JSON(none_as_null=True), server_default="{}", nullable=False))

    with op.batch_alter_table("fixed_ips", schema=None) as batch_op:
        batch_op.add_column(sa.Column("position", sa.SmallInteger(), server_default="0", nullable=False))
        batch_op.drop_constraint(batch_op.f("uq_fixed_ips_subnet_id_address"), type_="unique")
        batch_op.create_index("ix_fixed_ips_subnet_id_address", ["subnet_id", "address"], unique=False)

    with op.batch_alter_table("subnets", schema=None) as batch_op:
        batch_op.add_column(sa.Column("ip_version", sa.SmallInteger(), server_default="4", nullable=False))
        batch_op.add_column(sa.Column("ipv6_ra_mode", sa.String(length=16), nullable=True))
        batch_op.add_column(sa.Column("ipv6_address_mode", sa.String(length=16), nullable=True))
        batch_op.add_column(sa.Column("server_ip", sa.String(length=64), server_default="", nullable=False))
        batch_op.add_column(sa.Column("service_types", sa.JSON(none_as_null=True), server_default="[]", nullable=False))
        batch_op.add_column(
            sa.Column("dns_publish_fixed_ip", sa.Boolean(), server_default=sa.text("(false)"), nullable=False)
        )
        batch_op.alter_column("gateway_ip", existing_type=sa.String(length=64), nullable=True)

    _carry_over(op.get_bind())

    with op.batch_alter_table("subnets", schema=None) as batch_op:
        batch_op.drop_column("tells_gateway")
        batch_op.drop_column("pool_last")
        batch_op.drop_column("pool_first")


_SUBNETS = sa.table(
    "subnets",
    sa.column("id", sa.String),
    sa.column("gateway_ip", sa.String),
    sa.column("tells_gateway", sa.Boolean),
    sa.column("pool_first", sa.BigInteger),
    sa.column("pool_last", sa.BigInteger),
)
_TAKEN = sa.table(
    "fixed_ips",
    sa.column("subnet_id", sa.String),
    sa.column("port_id", sa.String),
    sa.column("ip_address", sa.String),
    sa.column("address", sa.BigInteger),
)
_POOLS = sa.table(
    "allocation_pools",
    sa.column("id", sa.String),
    sa.column("subnet_id", sa.String),
    sa.column("position", sa.SmallInteger),
    sa.column("first_ip", sa.String),
    sa.column("last_ip", sa.String),
)


def _carry_over(connection: sa.Connection) -> None:
    """One pool becomes rows without the gateway, whose address was kept back by a row of its own."""
    for subnet in connection.execute(sa.select(_SUBNETS)).all():
        own = sa.and_(_TAKEN.c.subnet_id == subnet.id, _TAKEN.c.ip_address == subnet.gateway_ip)
        gateway = connection.scalar(sa.select(_TAKEN.c.address).where(own))
        connection.execute(sa.delete(_TAKEN).where(own, _TAKEN.c.port_id.is_(None)))
        parts = _around(subnet.pool_first, subnet.pool_last, gateway)
        for position, (first, last) in enumerate(parts):
            connection.execute(
                _POOLS.insert().values(
                    id=str(uuid4()), subnet_id=subnet.id, position=position, first_ip=str(IPv4Address(first)),
                    last_ip=str(IPv4Address(last)),
                )
            )  # fmt: skip
    told = _SUBNETS.c.tells_gateway
    connection.execute(sa.update(_SUBNETS).where(~told).values(gateway_ip=None))
    networks = sa.table("networks", sa.column("status", sa.String))
    connection.execute(sa.update(networks).values(status="ACTIVE"))


def _around(first: int, last: int, gateway: int | None) -> list[tuple[int, int]]:
    if gateway is None or not first <= gateway <= last:
        return [(first, last)]
    return [(low, high) for low, high in ((first, gateway - 1), (gateway + 1, last)) if low <= high]


def downgrade() -> None:
    """Only for a database without networks: addresses of IPv6 and second pools have no place in the schema before."""
    connection = op.get_bind()
    if connection.scalar(sa.text("SELECT count(*) FROM subnets")):
        raise RuntimeError("subnets cannot be carried back to revision 0002: restore the copy made before 0003")
    with op.batch_alter_table("subnets", schema=None) as batch_op:
        batch_op.add_column(sa.Column("pool_first", sa.BigInteger(), nullable=False))
        batch_op.add_column(sa.Column("pool_last", sa.BigInteger(), nullable=False))
        batch_op.add_column(sa.Column("tells_gateway", sa.Boolean(), server_default=sa.text("(true)"), nullable=False))
        batch_op.alter_column("gateway_ip", existing_type=sa.String(length=64), nullable=False)
        for name in ("dns_publish_fixed_ip", "service_types", "server_ip", "ipv6_address_mode", "ipv6_ra_mode"):
            batch_op.drop_column(name)
        batch_op.drop_column("ip_version")
    with op.batch_alter_table("fixed_ips", schema=None) as batch_op:
        batch_op.drop_index("ix_fixed_ips_subnet_id_address")
        batch_op.create_unique_constraint(batch_op.f("uq_fixed_ips_subnet_id_address"), ["subnet_id", "address"])
        batch_op.drop_column("position")
    with op.batch_alter_table("ports", schema=None) as batch_op:
        for name in ("wiring", "propagate_uplink_status", "binding_profile", "vnic_type", "dns_domain", "dhcp_options"):
            batch_op.drop_column(name)
        batch_op.drop_column("address_pairs")
        batch_op.drop_column("ip_allocation")
    with op.batch_alter_table("networks", schema=None) as batch_op:
        for name in ("vlan_transparent", "availability_zone_hints", "dns_domain", "lan", "segmentation_id"):
            batch_op.drop_column(name)
        batch_op.drop_column("physical_network")
        batch_op.drop_column("network_type")
    op.drop_table("allocation_pools")
    op.drop_table("physical_networks")
    op.drop_table("network_options")
