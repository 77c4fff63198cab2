"""Nova's rules as Nova defaults them: who may do what in Compute."""

from __future__ import annotations

from collections.abc import Iterator

ADMIN = "rule:context_is_admin"
MANAGER = "rule:project_manager_or_admin"
MEMBER = "rule:project_member_or_admin"
READER = "rule:project_reader_or_admin"
SERVICE = "rule:service_or_admin"
OWN = "(rule:context_is_admin) or user_id:%(user_id)s"

_NOVA = {
    "@": "extensions limits os-availability-zone:list os-floating-ip-pools os-quota-sets:defaults",
    READER: (
        "ips:index ips:show os-attach-interfaces:list os-attach-interfaces:show os-flavor-extra-specs:index "
        "os-flavor-extra-specs:show os-floating-ips:list os-floating-ips:show os-instance-actions:list "
        "os-instance-actions:show os-networks:list os-networks:show os-quota-sets:detail os-quota-sets:show "
        "os-security-groups:get os-security-groups:list os-security-groups:show os-server-groups:index "
        "os-server-groups:show os-server-password:show os-server-shares:index os-server-shares:show "
        "os-server-tags:index os-server-tags:show os-simple-tenant-usage:show os-tenant-networks:list "
        "os-tenant-networks:show os-volumes:detail os-volumes:list os-volumes:show os-volumes:snapshots:detail "
        "os-volumes:snapshots:list os-volumes:snapshots:show os-volumes-attachments:index "
        "os-volumes-attachments:show server-metadata:index server-metadata:show servers:detail servers:index "
        "servers:show servers:show:flavor-extra-specs"
    ),
    MEMBER: (
        "os-admin-password os-attach-interfaces:create os-attach-interfaces:delete os-console-output "
        "os-create-backup os-deferred-delete:force os-deferred-delete:restore os-floating-ips:add "
        "os-floating-ips:create os-floating-ips:delete os-floating-ips:remove os-lock-server:lock "
        "os-lock-server:unlock os-multinic:add os-multinic:remove os-pause-server:pause os-pause-server:unpause "
        "os-remote-consoles os-rescue os-security-groups:add os-security-groups:create os-security-groups:delete "
        "os-security-groups:remove os-security-groups:rule:create os-security-groups:rule:delete "
        "os-security-groups:update os-server-groups:create os-server-groups:delete os-server-password:clear "
        "os-server-shares:create os-server-shares:delete os-server-tags:delete os-server-tags:delete_all "
        "os-server-tags:update os-server-tags:update_all os-shelve:shelve os-shelve:unshelve "
        "os-suspend-server:resume os-suspend-server:suspend os-unrescue os-volumes:create os-volumes:delete "
        "os-volumes:snapshots:create os-volumes:snapshots:delete os-volumes-attachments:create "
        "os-volumes-attachments:delete os-volumes-attachments:update server-metadata:create "
        "server-metadata:delete server-metadata:update server-metadata:update_all servers:confirm_resize "
        "servers:create servers:create:attach_network servers:create:attach_volume servers:create:trusted_certs "
        "servers:create_image servers:create_image:allow_volume_backed servers:delete servers:reboot "
        "servers:rebuild servers:rebuild:trusted_certs servers:resize servers:revert_resize servers:start "
        "servers:stop servers:trigger_crash_dump servers:update"
    ),
    MANAGER: (
        "os-migrate-server:migrate os-migrate-server:migrate_live os-migrations:index servers:migrations:delete "
        "servers:migrations:force_complete servers:migrations:index"
    ),
    SERVICE: (
        "os-assisted-volume-snapshots:create os-assisted-volume-snapshots:delete os-server-external-events:create "
        "os-volumes-attachments:swap"
    ),
    OWN: "os-keypairs:create os-keypairs:delete os-keypairs:index os-keypairs:show",
    ADMIN: (
        "limits:other_project os-admin-actions:inject_network_info os-admin-actions:reset_state "
        "os-aggregates:add_host os-aggregates:create os-aggregates:delete os-aggregates:index "
        "os-aggregates:remove_host os-aggregates:set_metadata os-aggregates:show os-aggregates:update "
        "os-availability-zone:detail os-baremetal-nodes:list os-baremetal-nodes:show os-console-auth-tokens "
        "os-evacuate os-extended-server-attributes os-flavor-access os-flavor-access:add_tenant_access "
        "os-flavor-access:remove_tenant_access os-flavor-extra-specs:create os-flavor-extra-specs:delete "
        "os-flavor-extra-specs:update os-flavor-manage:create os-flavor-manage:delete os-flavor-manage:update "
        "os-hosts:list os-hosts:reboot os-hosts:show os-hosts:shutdown os-hosts:start os-hosts:update "
        "os-hypervisors:list os-hypervisors:list-detail os-hypervisors:search os-hypervisors:servers "
        "os-hypervisors:show os-hypervisors:statistics os-hypervisors:uptime os-instance-actions:events "
        "os-instance-actions:events:details os-instance-usage-audit-log:list os-instance-usage-audit-log:show "
        "os-lock-server:unlock:unlock_override os-migrate-server:migrate:host "
        "os-migrate-server:migrate_live:host os-migrations:index:all_projects os-migrations:index:host "
        "os-quota-class-sets:show os-quota-class-sets:update os-quota-sets:delete os-quota-sets:update "
        "os-server-diagnostics os-server-groups:index:all_projects os-services:delete os-services:list "
        "os-services:update os-shelve:shelve_offload os-shelve:unshelve_to_host os-simple-tenant-usage:list "
        "servers:allow_all_filters servers:create:forced_host servers:create:zero_disk_flavor "
        "servers:detail:get_all_tenants servers:index:get_all_tenants servers:migrations:index:host "
        "servers:migrations:show servers:show:host_status servers:show:host_status:unknown-only"
    ),
}
_ELSEWHERE = {
    "compute:aggregates:images": ADMIN,
    "compute:server:topology:host:index": ADMIN,
    "compute:server:topology:index": READER,
    "compute:servers:create:requested_destination": ADMIN,
    "compute:servers:resize:cross_cell": "!",
    "network:attach_external_network": ADMIN,
}
# Nova asks no rule for these, or no longer has the operation; every route here has one.
_OWN_NAMES = {
    "@": "flavors gone",
    READER: "os-virtual-interfaces",
    MEMBER: "os-tenant-networks:delete",
    ADMIN: (
        "os-fixed-ips:reserve os-floating-ip-dns os-floating-ips-bulk os-networks:create os-networks:delete "
        "os-networks:associate os-security-group-default-rules os-tenant-networks:create"
    ),
}
BASE = {
    "context_is_admin": "role:admin",
    "admin_api": "is_admin:True",
    "project_manager_api": "role:manager and project_id:%(project_id)s",
    "project_member_api": "role:member and project_id:%(project_id)s",
    "project_reader_api": "role:reader and project_id:%(project_id)s",
    "service_api": "role:service",
    "project_manager_or_admin": "rule:project_manager_api or rule:context_is_admin",
    "project_member_or_admin": "rule:project_member_api or rule:context_is_admin",
    "project_reader_or_admin": "rule:project_reader_api or rule:context_is_admin",
    "service_or_admin": "rule:service_api or rule:context_is_admin",
}


def rules() -> Iterator[tuple[str, str]]:
    """Each rule's name and check."""
    for table in (_NOVA, _OWN_NAMES):
        for check, names in table.items():
            for name in names.split():
                yield f"os_compute_api:{name}", check
    yield from _ELSEWHERE.items()
