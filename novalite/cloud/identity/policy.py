"""The one policy table: the name of a rule -> who may. Names are those of OpenStack's own policy files."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from novalite.context import Context
from novalite.errors import Forbidden

Check = Callable[[Context, str, str], bool]


def _in_project(role: str) -> Check:
    """What belongs to projects needs a token of a project, from administrators too: else whose would it be?"""

    def check(ctx: Context, user_id: str, project_id: str) -> bool:
        own = project_id in ("", ctx.project_id)
        return bool(ctx.project_id) and (ctx.is_admin or (own and role in ctx.roles))

    return check


CHECKS: Mapping[str, Check] = {
    "any": lambda ctx, user_id, project_id: True,
    "project_reader": _in_project("reader"),
    "project_member": _in_project("member"),
    "project_manager": _in_project("manager"),
    "admin": lambda ctx, user_id, project_id: ctx.is_admin,
    "admin_reader": lambda ctx, user_id, project_id: ctx.is_admin or (ctx.system and "reader" in ctx.roles),
    "service": lambda ctx, user_id, project_id: ctx.is_admin or "service" in ctx.roles,
    "owner": lambda ctx, user_id, project_id: ctx.is_admin or (bool(user_id) and user_id == ctx.user_id),
}


def _rules(prefix: str, check: str, names: str) -> dict[str, str]:
    return {prefix + name: check for name in names.split()}


def _compute() -> dict[str, str]:
    nova = "os_compute_api:"
    return {
        **_rules(
            nova,
            "any",
            "extensions flavors limits os-availability-zone:list os-quota-sets:defaults versions images "
            "os-floating-ip-pools gone",
        ),
        **_rules(nova, "owner", "os-keypairs:index os-keypairs:show os-keypairs:create os-keypairs:delete"),
        **_rules(
            nova,
            "project_reader",
            "servers:index servers:detail servers:show servers:show:flavor-extra-specs ips:index ips:show "
            "server-metadata:index server-metadata:show os-server-tags:index os-server-tags:show "
            "os-instance-actions:list os-instance-actions:show os-server-groups:index os-server-groups:show "
            "os-quota-sets:show os-quota-sets:detail os-simple-tenant-usage:show "
            "os-flavor-extra-specs:index os-flavor-extra-specs:show os-security-groups:list "
            "os-attach-interfaces:list os-attach-interfaces:show os-volumes-attachments:index "
            "os-volumes-attachments:show os-server-password:show server:topology:index "
            "os-virtual-interfaces os-security-groups:get os-security-groups:show os-networks:list "
            "os-networks:show os-tenant-networks:list os-tenant-networks:show",
        ),
        **_rules(
            nova,
            "project_member",
            "servers:create servers:update servers:delete servers:start servers:stop servers:reboot "
            "servers:rebuild servers:resize servers:confirm_resize servers:revert_resize "
            "servers:create_image servers:trigger_crash_dump os-pause-server:pause os-pause-server:unpause "
            "os-suspend-server:suspend os-suspend-server:resume os-lock-server:lock os-lock-server:unlock "
            "os-console-output os-remote-consoles os-deferred-delete:restore os-deferred-delete:force "
            "server-metadata:create server-metadata:update server-metadata:update_all "
            "server-metadata:delete os-server-tags:update os-server-tags:update_all os-server-tags:delete "
            "os-server-tags:delete_all os-server-groups:create os-server-groups:delete "
            "os-attach-interfaces:create os-attach-interfaces:delete os-security-groups:add "
            "os-security-groups:remove os-server-password:clear os-admin-password os-rescue os-unrescue "
            "os-create-backup os-shelve:shelve os-shelve:unshelve os-volumes-attachments:create "
            "os-volumes-attachments:delete",
        ),
        **_rules(nova, "project_manager", "os-migrations:index servers:migrations:index"),
        **_rules(nova, "service", "os-server-external-events:create"),
        **_rules(
            nova,
            "admin",
            "os-aggregates:index os-aggregates:show os-aggregates:create os-aggregates:update "
            "os-aggregates:delete os-aggregates:add_host os-aggregates:remove_host os-aggregates:set_metadata "
            "servers:index:get_all_tenants servers:detail:get_all_tenants servers:create:forced_host "
            "servers:show:host_status os-extended-server-attributes os-admin-actions:reset_state "
            "os-lock-server:unlock:unlock_override os-instance-actions:events "
            "os-instance-actions:events:details os-flavor-manage:create os-flavor-manage:update "
            "os-flavor-manage:delete os-flavor-extra-specs:create os-flavor-extra-specs:update "
            "os-flavor-extra-specs:delete os-flavor-access os-flavor-access:add_tenant_access "
            "os-flavor-access:remove_tenant_access limits:other_project os-quota-sets:update "
            "os-quota-sets:delete os-hypervisors:list os-hypervisors:list-detail os-hypervisors:show "
            "os-hypervisors:statistics os-hypervisors:uptime os-hypervisors:search os-hypervisors:servers "
            "os-services:list os-services:update os-services:delete os-availability-zone:detail "
            "os-server-groups:index:all_projects os-simple-tenant-usage:list os-console-auth-tokens "
            "os-server-diagnostics os-migrations:index:all_projects servers:migrations:show "
            "os-quota-class-sets:show os-quota-class-sets:update os-instance-usage-audit-log:list "
            "os-instance-usage-audit-log:show os-hosts:list os-hosts:show os-hosts:update os-hosts:start "
            "os-hosts:shutdown os-hosts:reboot os-baremetal-nodes:list os-baremetal-nodes:show "
            "server:topology:host:index",
        ),
    }


def _identity() -> dict[str, str]:
    return {
        **_rules(
            "identity:",
            "any",
            "get_auth_catalog get_auth_projects get_auth_domains get_auth_system "
            "validate_token check_token revoke_token list_regions get_region get_project get_domain",
        ),
        **_rules(
            "identity:",
            "owner",
            "get_user list_user_projects change_password "
            "list_application_credentials get_application_credential "
            "create_application_credential delete_application_credential",
        ),
        **_rules(
            "identity:",
            "admin_reader",
            "list_projects list_users list_domains list_grants check_grant list_role_assignments "
            "list_roles get_role list_implied_roles list_services get_service list_endpoints get_endpoint",
        ),
        **_rules(
            "identity:",
            "admin",
            "create_project update_project delete_project create_user update_user "
            "delete_user create_role update_role delete_role create_domain update_domain "
            "delete_domain create_grant revoke_grant",
        ),
    }


def _image() -> dict[str, str]:
    return {
        **_rules("", "any", "get_image get_images download_image get_members get_member get_schemas get_info"),
        **_rules(
            "",
            "project_member",
            "add_image modify_image delete_image upload_image add_member delete_member "
            "modify_member deactivate reactivate communitize_image import_image "
            "set_image_location get_image_location delete_image_location",
        ),
        **_rules("", "admin", "publicize_image"),
    }


def _network() -> dict[str, str]:
    found = _rules("", "any", "get_extension get_service_provider")
    for noun in (
        "network",
        "subnet",
        "port",
        "router",
        "floatingip",
        "security_group",
        "security_group_rule",
        "subnetpool",
    ):
        found |= {f"get_{noun}": "project_reader"} | _rules(
            "",
            "project_member",
            f"create_{noun} update_{noun} delete_{noun} get_{noun}s_tags update_{noun}s_tags",
        )
    return found | {
        **_rules("", "project_reader", "get_quota get_availability_zone get_auto_allocated_topology"),
        **_rules(
            "",
            "admin",
            "create_network:shared create_network:router:external create_network:provider "
            "update_network:shared update_network:router:external get_network:provider "
            "create_port:binding:host_id get_port:binding:host_id get_agent update_quota "
            "delete_quota",
        ),
    }


def _volume_and_placement() -> dict[str, str]:
    return {
        **_rules("volume:", "project_reader", "get_all get quotas:show limits_extension types services_zones"),
        **_rules("volume:", "admin", "quotas:update quotas:delete services:index"),
        **_rules(
            "placement:",
            "admin_reader",
            "resource_providers:list resource_providers:show usages:show "
            "inventories:list allocations:list resource_classes:list traits:list",
        ),
    }


def _appliance() -> dict[str, str]:
    return _rules("novalite:admin:", "admin", "status doctor")


RULES: Mapping[str, str] = {
    **_appliance(),
    **_compute(),
    **_identity(),
    **_image(),
    **_network(),
    **_volume_and_placement(),
}


def known(rule: str) -> bool:
    return rule in RULES


def allows(rule: str, ctx: Context, *, user_id: str = "", project_id: str = "") -> bool:
    """Whether ``ctx`` may do ``rule``, to what belongs to ``user_id`` or ``project_id`` when that is given.

    A rule the table does not have is a ``KeyError``: a mistake in the program, never in the request.
    """
    return CHECKS[RULES[rule]](ctx, user_id, project_id)


def require(rule: str, ctx: Context, *, user_id: str = "", project_id: str = "") -> None:
    """Raises ``Forbidden`` naming the rule."""
    if not allows(rule, ctx, user_id=user_id, project_id=project_id):
        raise Forbidden(f"Policy doesn't allow {rule} to be performed.", rule=rule)
