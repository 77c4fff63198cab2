"""Sharing by RBAC, tags, address groups, subnet pools, QoS, and ports that are forwarded

Revision: 0004, after 0003.
"""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "address_groups",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.String(length=255), nullable=False),
        sa.Column("addresses", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("updated_at", sa.DateTime(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_address_groups")),
    )
    with op.batch_alter_table("address_groups", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_address_groups_project_id"), ["project_id"], unique=False)

    op.create_table(
        "address_scopes",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("ip_version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_address_scopes")),
    )
    with op.batch_alter_table("address_scopes", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_address_scopes_project_id"), ["project_id"], unique=False)

    op.create_table(
        "auto_topologies",
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("network_id", sa.String(length=36), nullable=False),
        sa.Column("router_id", sa.String(length=36), nullable=False),
        sa.PrimaryKeyConstraint("project_id", name=op.f("pk_auto_topologies")),
    )
    op.create_table(
        "default_security_group_rules",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("direction", sa.String(length=8), nullable=False),
        sa.Column("ethertype", sa.String(length=8), nullable=False),
        sa.Column("protocol", sa.String(length=40), nullable=True),
        sa.Column("port_min", sa.Integer(), nullable=True),
        sa.Column("port_max", sa.Integer(), nullable=True),
        sa.Column("remote_prefix", sa.String(length=64), nullable=True),
        sa.Column("remote_group_id", sa.String(length=36), nullable=True),
        sa.Column("remote_address_group_id", sa.String(length=36), nullable=True),
        sa.Column("description", sa.String(length=255), nullable=False),
        sa.Column("in_default", sa.Boolean(), nullable=False),
        sa.Column("in_others", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_default_security_group_rules")),
    )
    op.create_table(
        "qos_policies",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.String(length=255), nullable=False),
        sa.Column("default_of", sa.String(length=64), nullable=True),
        sa.Column("tags", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("updated_at", sa.DateTime(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_qos_policies")),
        sa.UniqueConstraint("default_of", name=op.f("uq_qos_policies_default_of")),
    )
    with op.batch_alter_table("qos_policies", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_qos_policies_project_id"), ["project_id"], unique=False)

    op.create_table(
        "rbac_policies",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("object_type", sa.String(length=32), nullable=False),
        sa.Column("object_id", sa.String(length=36), nullable=False),
        sa.Column("action", sa.String(length=32), nullable=False),
        sa.Column("target_project", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rbac_policies")),
        sa.UniqueConstraint(
            "object_id", "action", "target_project", name=op.f("uq_rbac_policies_object_id_action_target_project")
        ),
    )
    with op.batch_alter_table("rbac_policies", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_rbac_policies_project_id"), ["project_id"], unique=False)
        batch_op.create_index("ix_rbac_policies_target_project", ["target_project", "object_id"], unique=False)

    op.create_table(
        "qos_bandwidth_rules",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("policy_id", sa.String(length=36), nullable=False),
        sa.Column("direction", sa.String(length=8), nullable=False),
        sa.Column("max_kbps", sa.Integer(), nullable=False),
        sa.Column("max_burst_kbps", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["policy_id"], ["qos_policies.id"], name=op.f("fk_qos_bandwidth_rules_policy_id_qos_policies")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_qos_bandwidth_rules")),
        sa.UniqueConstraint("policy_id", "direction", name=op.f("uq_qos_bandwidth_rules_policy_id_direction")),
    )
    with op.batch_alter_table("qos_bandwidth_rules", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_qos_bandwidth_rules_policy_id"), ["policy_id"], unique=False)

    op.create_table(
        "subnet_pools",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.String(length=255), nullable=False),
        sa.Column("ip_version", sa.Integer(), nullable=False),
        sa.Column("prefixes", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("default_prefixlen", sa.Integer(), nullable=False),
        sa.Column("min_prefixlen", sa.Integer(), nullable=False),
        sa.Column("max_prefixlen", sa.Integer(), nullable=False),
        sa.Column("default_quota", sa.Integer(), nullable=True),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        sa.Column("address_scope_id", sa.String(length=36), nullable=True),
        sa.Column("tags", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("updated_at", sa.DateTime(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["address_scope_id"], ["address_scopes.id"], name=op.f("fk_subnet_pools_address_scope_id_address_scopes")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_subnet_pools")),
    )
    with op.batch_alter_table("subnet_pools", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_subnet_pools_address_scope_id"), ["address_scope_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_subnet_pools_project_id"), ["project_id"], unique=False)

    op.create_table(
        "host_forwards",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("protocol", sa.String(length=8), nullable=False),
        sa.Column("host_port", sa.Integer(), nullable=False),
        sa.Column("port_id", sa.String(length=36), nullable=False),
        sa.Column("fixed_ip_address", sa.String(length=64), nullable=False),
        sa.Column("guest_port", sa.Integer(), nullable=False),
        sa.Column("router_id", sa.String(length=36), nullable=True),
        sa.Column("router_port", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(["port_id"], ["ports.id"], name=op.f("fk_host_forwards_port_id_ports")),
        sa.ForeignKeyConstraint(["router_id"], ["routers.id"], name=op.f("fk_host_forwards_router_id_routers")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_host_forwards")),
        sa.UniqueConstraint("protocol", "host_port", name=op.f("uq_host_forwards_protocol_host_port")),
        sa.UniqueConstraint(
            "router_id", "protocol", "router_port", name=op.f("uq_host_forwards_router_id_protocol_router_port")
        ),
    )
    with op.batch_alter_table("host_forwards", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_host_forwards_port_id"), ["port_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_host_forwards_project_id"), ["project_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_host_forwards_router_id"), ["router_id"], unique=False)

    op.create_table(
        "floating_forwards",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("floating_id", sa.String(length=36), nullable=False),
        sa.Column("port_id", sa.String(length=36), nullable=False),
        sa.Column("router_id", sa.String(length=36), nullable=False),
        sa.Column("protocol", sa.String(length=8), nullable=False),
        sa.Column("external_first", sa.Integer(), nullable=False),
        sa.Column("external_last", sa.Integer(), nullable=False),
        sa.Column("fixed_ip_address", sa.String(length=64), nullable=False),
        sa.Column("internal_first", sa.Integer(), nullable=False),
        sa.Column("description", sa.String(length=255), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["floating_id"], ["floating_ips.id"], name=op.f("fk_floating_forwards_floating_id_floating_ips")
        ),
        sa.ForeignKeyConstraint(["port_id"], ["ports.id"], name=op.f("fk_floating_forwards_port_id_ports")),
        sa.ForeignKeyConstraint(["router_id"], ["routers.id"], name=op.f("fk_floating_forwards_router_id_routers")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_floating_forwards")),
    )
    with op.batch_alter_table("floating_forwards", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_floating_forwards_floating_id"), ["floating_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_floating_forwards_port_id"), ["port_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_floating_forwards_router_id"), ["router_id"], unique=False)

    with op.batch_alter_table("floating_ips", schema=None) as batch_op:
        batch_op.add_column(sa.Column("tags", sa.JSON(none_as_null=True), server_default="[]", nullable=False))

    with op.batch_alter_table("networks", schema=None) as batch_op:
        batch_op.add_column(sa.Column("tags", sa.JSON(none_as_null=True), server_default="[]", nullable=False))
        batch_op.add_column(sa.Column("qos_policy_id", sa.String(length=36), nullable=True))
        batch_op.add_column(sa.Column("is_default", sa.Boolean(), server_default=sa.text("false"), nullable=False))
        batch_op.create_index(batch_op.f("ix_networks_qos_policy_id"), ["qos_policy_id"], unique=False)
        batch_op.create_foreign_key(
            batch_op.f("fk_networks_qos_policy_id_qos_policies"), "qos_policies", ["qos_policy_id"], ["id"]
        )

    with op.batch_alter_table("ports", schema=None) as batch_op:
        batch_op.add_column(sa.Column("tags", sa.JSON(none_as_null=True), server_default="[]", nullable=False))
        batch_op.add_column(sa.Column("qos_policy_id", sa.String(length=36), nullable=True))
        batch_op.create_index(batch_op.f("ix_ports_qos_policy_id"), ["qos_policy_id"], unique=False)
        batch_op.create_foreign_key(
            batch_op.f("fk_ports_qos_policy_id_qos_policies"), "qos_policies", ["qos_policy_id"], ["id"]
        )

    with op.batch_alter_table("routers", schema=None) as batch_op:
        batch_op.add_column(sa.Column("tags", sa.JSON(none_as_null=True), server_default="[]", nullable=False))

    with op.batch_alter_table("security_group_rules", schema=None) as batch_op:
        batch_op.add_column(sa.Column("remote_address_group_id", sa.String(length=36), nullable=True))
        batch_op.add_column(sa.Column("tags", sa.JSON(none_as_null=True), server_default="[]", nullable=False))
        batch_op.create_index(
            batch_op.f("ix_security_group_rules_remote_address_group_id"), ["remote_address_group_id"], unique=False
        )
        batch_op.create_foreign_key(
            batch_op.f("fk_security_group_rules_remote_address_group_id_address_groups"),
            "address_groups",
            ["remote_address_group_id"],
            ["id"],
        )

    with op.batch_alter_table("security_groups", schema=None) as batch_op:
        batch_op.add_column(sa.Column("stateful", sa.Boolean(), server_default=sa.text("true"), nullable=False))
        batch_op.add_column(sa.Column("tags", sa.JSON(none_as_null=True), server_default="[]", nullable=False))

    with op.batch_alter_table("subnets", schema=None) as batch_op:
        batch_op.add_column(sa.Column("subnetpool_id", sa.String(length=36), nullable=True))
        batch_op.add_column(sa.Column("tags", sa.JSON(none_as_null=True), server_default="[]", nullable=False))
        batch_op.create_index(batch_op.f("ix_subnets_subnetpool_id"), ["subnetpool_id"], unique=False)
        batch_op.create_foreign_key(
            batch_op.f("fk_subnets_subnetpool_id_subnet_pools"), "subnet_pools", ["subnetpool_id"], ["id"]
        )

    _carry_over(op.get_bind())


_NETWORKS = sa.table(
    "networks",
    sa.column("id", sa.String),
    sa.column("project_id", sa.String),
    sa.column("is_shared", sa.Boolean),
    sa.column("is_external", sa.Boolean),
)
_POLICIES = sa.table(
    "rbac_policies",
    sa.column("id", sa.String),
    sa.column("project_id", sa.String),
    sa.column("object_type", sa.String),
    sa.column("object_id", sa.String),
    sa.column("action", sa.String),
    sa.column("target_project", sa.String),
    sa.column("created_at", sa.DateTime),
)
_RULES = sa.table(
    "default_security_group_rules",
    sa.column("id", sa.String),
    sa.column("direction", sa.String),
    sa.column("ethertype", sa.String),
    sa.column("remote_group_id", sa.String),
    sa.column("description", sa.String),
    sa.column("in_default", sa.Boolean),
    sa.column("in_others", sa.Boolean),
    sa.column("created_at", sa.DateTime),
)


def _carry_over(connection: sa.Connection) -> None:
    """Networks that were for everybody are so by a policy now, and groups begin as they always did."""
    now = datetime.now(UTC).replace(tzinfo=None)
    policies = [
        {"id": str(uuid4()), "project_id": row.project_id, "object_type": "network", "object_id": row.id,
         "action": action, "target_project": "*", "created_at": now}
        for row in connection.execute(sa.select(_NETWORKS)).all()
        for action, granted in (("access_as_shared", row.is_shared), ("access_as_external", row.is_external))
        if granted
    ]  # fmt: skip
    if policies:
        connection.execute(sa.insert(_POLICIES), policies)
    rules = [
        {"id": str(uuid4()), "direction": direction, "ethertype": ethertype, "description": "", "in_default": True,
         "remote_group_id": "PARENT" if direction == "ingress" else None, "in_others": direction == "egress",
         "created_at": now}
        for direction in ("egress", "ingress")
        for ethertype in ("IPv4", "IPv6")
    ]  # fmt: skip
    connection.execute(sa.insert(_RULES), rules)
