"""The rules of Keystone, Glance, Neutron, Cinder and Placement as those default them, and the product's own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

SYSTEM_READER = "rule:admin_required or (role:reader and system_scope:all)"
ADMIN_REQUIRED = "rule:admin_required"
ADMIN_OF_MORE_THAN_A_DOMAIN = "rule:admin_required and (system_scope:all or project_id:%(project_id)s)"
GLANCE_ADMIN = "rule:context_is_admin"
GLANCE_MEMBER = "rule:context_is_admin or (role:member and project_id:%(project_id)s)"
GLANCE_READER = "rule:context_is_admin or (role:reader and project_id:%(project_id)s)"
NEUTRON_ADMIN = "rule:admin_only"
NEUTRON_READER = "(rule:admin_only) or (role:reader and project_id:%(project_id)s)"
NEUTRON_MEMBER = "(rule:admin_only) or (role:member and project_id:%(project_id)s)"
NEUTRON_MANAGER = "(rule:admin_only) or (role:manager and project_id:%(project_id)s)"
NEUTRON_SERVICE = "(rule:admin_only) or (rule:service_api)"
CINDER_READER = "rule:xena_system_admin_or_project_reader"
CINDER_MEMBER = "rule:xena_system_admin_or_project_member"

BASE = {
    "admin_required": "role:admin or is_admin:1",
    "admin_only": "rule:context_is_admin",
    "xena_system_admin_or_project_reader": "(role:admin) or (role:reader and project_id:%(project_id)s)",
    "xena_system_admin_or_project_member": "(role:admin) or (role:member and project_id:%(project_id)s)",
}
_IDENTITY = {
    "@": (
        "get_auth_catalog get_auth_domains get_auth_projects get_auth_system get_domain get_limit_model get_region "
        "get_registered_limit list_limits list_registered_limits list_regions"
    ),
    ADMIN_REQUIRED: (
        "add_user_to_group create_group "
        "create_domain create_endpoint create_grant create_project create_region create_role create_service "
        "create_policy create_user delete_domain delete_endpoint delete_policy delete_project delete_region "
        "delete_role delete_service delete_user revoke_grant update_domain update_endpoint update_policy "
        "update_project update_region update_role update_service update_user "
        "delete_group remove_user_from_group update_group"
    ),
    ADMIN_OF_MORE_THAN_A_DOMAIN: (
        "create_limits create_registered_limits delete_limit delete_registered_limit update_limit "
        "update_registered_limit"
    ),
    SYSTEM_READER: (
        "check_grant check_user_in_group get_endpoint get_group "
        "get_implied_role get_policy get_role get_service list_domains list_endpoints "
        "list_grants list_implied_roles list_policies list_projects list_role_assignments list_roles list_services "
        "list_groups list_trusts list_users list_users_in_group"
    ),
    f"{SYSTEM_READER} or project_id:%(target.project.id)s": "get_limit get_project",
    f"{SYSTEM_READER} or user_id:%(target.user.id)s": (
        "get_application_credential get_user list_application_credentials list_groups_for_user list_user_projects"
    ),
    "user_id:%(user_id)s": "change_password create_application_credential create_trust",
    "rule:admin_required or user_id:%(user_id)s": (
        "create_credential delete_application_credential delete_credential ec2_create_credential "
        "ec2_delete_credential update_credential delete_trust"
    ),
    f"{SYSTEM_READER} or user_id:%(user_id)s": (
        "ec2_get_credential ec2_list_credentials get_credential get_role_for_trust get_trust list_credentials "
        "list_roles_for_trust list_trusts_for_trustee list_trusts_for_trustor"
    ),
    f"{SYSTEM_READER} or role:service or user_id:%(target.token.user_id)s": "check_token validate_token",
    "rule:admin_required or user_id:%(target.token.user_id)s": "revoke_token",
}
_IMAGE = {
    "@": "get_info get_schemas",
    GLANCE_READER: (
        "get_image get_image_location get_images get_member get_members get_metadef_namespace get_metadef_namespaces "
        "get_metadef_object get_metadef_objects get_metadef_properties get_metadef_property get_metadef_resource_type "
        "get_metadef_tag get_metadef_tags get_task get_tasks list_metadef_resource_types"
    ),
    GLANCE_MEMBER: (
        "add_image add_member communitize_image deactivate delete_image delete_member download_image import_image "
        "modify_image modify_member reactivate set_image_location upload_image"
    ),
    GLANCE_ADMIN: (
        "add_metadef_namespace add_metadef_object add_metadef_property add_metadef_resource_type_association "
        "add_metadef_tag add_metadef_tags copy_image delete_image_location delete_metadef_namespace "
        "delete_metadef_object delete_metadef_tag delete_metadef_tags manage_image_cache modify_metadef_namespace "
        "modify_metadef_object modify_metadef_property modify_metadef_tag publicize_image remove_metadef_property "
        "remove_metadef_resource_type_association stores_info_detail tasks_api_access"
    ),
}
_NETWORK = {
    "@": "get_extension",
    "role:reader": "get_availability_zone get_default_security_group_rule get_rule_type get_service_provider",
    # Neutron keeps get_quota for managers; here all services let a project's readers see its quotas.
    NEUTRON_READER: (
        "get_auto_allocated_topology get_floatingip get_network get_networks_tags get_port get_ports_tags get_quota "
        "get_router get_routers_tags get_security_group get_security_group_rule get_security_groups_tags "
        "get_subnet get_subnetpool get_subnetpools_tags get_subnets_tags get_floatingips_tags "
        "get_address_group get_address_scope get_floatingip_port_forwarding get_policies_tags get_policy "
        "get_policy_bandwidth_limit_rule get_rbac_policy get_security_group_rules_tags"
    ),
    NEUTRON_MEMBER: (
        "add_extraroutes add_router_interface create_floatingip create_network create_network:port_security_enabled "
        "create_port create_port:allowed_address_pairs create_port:device_id create_port:device_owner "
        "create_port:fixed_ips create_port:mac_address create_port:port_security_enabled create_router "
        "create_router:external_gateway_info create_security_group create_security_group_rule create_subnet "
        "create_subnetpool delete_auto_allocated_topology delete_floatingip delete_network delete_port "
        "delete_router delete_security_group delete_security_group_rule delete_subnet delete_subnetpool "
        "remove_extraroutes remove_router_interface update_floatingip update_floatingips_tags update_network "
        "update_network:port_security_enabled update_networks_tags update_port "
        "update_port:allowed_address_pairs update_port:device_id update_port:device_owner update_port:fixed_ips "
        "update_port:port_security_enabled update_ports_tags update_router update_router:external_gateway_info "
        "update_routers_tags update_security_group update_security_group_rule update_security_groups_tags "
        "update_subnet update_subnetpool update_subnetpools_tags update_subnets_tags "
        "add_prefixes create_address_group create_address_scope create_floatingip_port_forwarding create_rbac_policy "
        "delete_address_group delete_address_scope delete_floatingip_port_forwarding delete_floatingips_tags "
        "delete_networks_tags delete_policies_tags delete_ports_tags delete_rbac_policy delete_routers_tags "
        "delete_security_group_rules_tags delete_security_groups_tags delete_subnetpools_tags delete_subnets_tags "
        "update_address_group update_address_scope update_floatingip_port_forwarding update_policies_tags "
        "remove_prefixes update_rbac_policy update_security_group_rules_tags"
    ),
    NEUTRON_MANAGER: "create_floatingip:floating_ip_address update_port:mac_address",
    NEUTRON_SERVICE: (
        "create_port:binding:host_id create_port:binding:profile get_port:binding:host_id "
        "get_port:binding:profile get_port:binding:vif_details get_port:binding:vif_type "
        "update_port:binding:host_id update_port:binding:profile"
    ),
    NEUTRON_ADMIN: (
        "create_network:is_default create_network:provider create_network:provider:network_type "
        "create_network:provider:physical_network create_network:provider:segmentation_id "
        "create_network:router:external create_network:shared create_router:external_gateway_info:enable_snat "
        "create_router:external_gateway_info:external_fixed_ips create_subnet:segment_id create_subnet:service_types "
        "delete_agent delete_quota get_agent get_network:provider get_network:provider:network_type "
        "get_network:provider:physical_network get_network:provider:segmentation_id get_network_ip_availability "
        "get_router:distributed "
        "create_address_scope:shared create_default_security_group_rule create_policy "
        "create_policy_bandwidth_limit_rule create_rbac_policy:target_tenant create_subnetpool:is_default "
        "create_subnetpool:shared delete_default_security_group_rule delete_policy "
        "delete_policy_bandwidth_limit_rule update_address_scope:shared update_policy "
        "update_policy_bandwidth_limit_rule update_rbac_policy:target_tenant update_subnetpool:is_default "
        "update_agent update_network:is_default update_network:provider:network_type "
        "update_network:router:external update_network:shared update_quota"
    ),
}
_VOLUME = {
    CINDER_READER: (
        "backup:get backup:get_all group:get group:get_all group:get_all_group_snapshots group:get_group_snapshot "
        "limits_extension:used_limits message:get message:get_all volume:get volume:get_all "
        "volume:get_all_snapshots volume:get_all_transfers volume:get_snapshot volume:get_snapshot_metadata "
        "volume:get_transfer volume:get_volume_metadata volume_extension:access_types_extra_specs "
        "volume_extension:extended_snapshot_attributes volume_extension:quotas:show volume_extension:type_get "
        "volume_extension:type_get_all volume_extension:types_extra_specs:index "
        "volume_extension:types_extra_specs:show volume_extension:volume_encryption_metadata "
        "volume_extension:volume_image_metadata:show volume_extension:volume_tenant_attribute "
        "volume:limits_extension volume:quotas:show volume:services_zones volume:types"
    ),
    CINDER_MEMBER: (
        "backup:create backup:delete backup:restore backup:update group:create group:create_group_snapshot "
        "group:delete group:delete_group_snapshot group:update group:update_group_snapshot "
        "message:delete snapshot_extension:snapshot_actions:update_snapshot_status volume:accept_transfer "
        "volume:attachment_complete volume:attachment_create volume:attachment_delete volume:attachment_update "
        "volume:create volume:create_from_image volume:create_snapshot volume:create_transfer "
        "volume:create_volume_metadata volume:delete volume:delete_snapshot volume:delete_snapshot_metadata "
        "volume:delete_transfer volume:delete_volume_metadata volume:extend volume:extend_attached_volume "
        "volume:multiattach volume:multiattach_bootable_volume volume:reimage volume:reimage_reserved volume:retype "
        "volume:revert_to_snapshot volume:update volume:update_readonly_flag volume:update_snapshot "
        "volume:update_snapshot_metadata volume:update_volume_metadata volume_extension:volume_actions:attach "
        "volume_extension:volume_actions:begin_detaching volume_extension:volume_actions:detach "
        "volume_extension:volume_actions:initialize_connection volume_extension:volume_actions:reserve "
        "volume_extension:volume_actions:roll_detaching volume_extension:volume_actions:terminate_connection "
        "volume_extension:volume_actions:unreserve volume_extension:volume_actions:upload_image "
        "volume_extension:volume_image_metadata:remove volume_extension:volume_image_metadata:set "
        "volume_extension:volume_type_access"
    ),
    "rule:admin_api": (
        "group:access_group_types_specs group:group_types:create group:group_types:delete group:group_types:update "
        "group:group_types_specs:create group:group_types_specs:delete group:group_types_specs:get "
        "group:group_types_specs:get_all group:group_types_specs:update group:reset_group_snapshot_status "
        "group:reset_status "
        "backup:backup-export backup:backup-import backup:backup_project_attribute "
        "volume_extension:backup_admin_actions:force_delete volume_extension:backup_admin_actions:reset_status "
        "scheduler_extension:scheduler_stats:get_pools volume:failover_host volume:force_delete volume:freeze_host "
        "volume:quotas:delete volume:thaw_host "
        "volume:quotas:update volume:services:index volume_extension:hosts volume_extension:quota_classes:get "
        "volume_extension:quota_classes:update volume_extension:quotas:delete volume_extension:quotas:update "
        "volume_extension:services:index volume_extension:services:update "
        "volume_extension:snapshot_admin_actions:force_delete volume_extension:snapshot_admin_actions:reset_status "
        "volume_extension:type_create volume_extension:type_delete volume_extension:type_update "
        "volume_extension:types_extra_specs:create volume_extension:types_extra_specs:delete "
        "volume_extension:types_extra_specs:read_sensitive volume_extension:types_extra_specs:update "
        "volume_extension:capabilities volume_extension:qos_specs_manage:create "
        "volume_extension:qos_specs_manage:delete "
        "volume_extension:qos_specs_manage:get volume_extension:qos_specs_manage:get_all "
        "volume_extension:qos_specs_manage:update "
        "volume_extension:volume_actions:upload_public volume_extension:volume_admin_actions:force_delete "
        "volume_extension:volume_admin_actions:force_detach "
        "snapshot_extension:list_manageable snapshot_extension:snapshot_manage snapshot_extension:snapshot_unmanage "
        "volume_extension:list_manageable volume_extension:volume_manage volume_extension:volume_unmanage "
        "volume_extension:volume_admin_actions:migrate_volume "
        "volume_extension:volume_admin_actions:migrate_volume_completion "
        "volume_extension:volume_admin_actions:reset_status "
        "volume_extension:volume_host_attribute volume_extension:volume_mig_status_attribute "
        "volume_extension:volume_type_access:addProjectAccess "
        "volume_extension:volume_type_access:get_all_for_type "
        "volume_extension:volume_type_access:removeProjectAccess volume_extension:volume_type_encryption "
        "volume_extension:volume_type_encryption:create volume_extension:volume_type_encryption:delete "
        "volume_extension:volume_type_encryption:get volume_extension:volume_type_encryption:update"
    ),
}
_PLACEMENT = {
    "rule:context_is_admin or role:service": (
        "allocations:list inventories:list resource_classes:list resource_providers:list resource_providers:show "
        "traits:list usages:show"
    )
}
_APPLIANCE = {"rule:context_is_admin": "adoptions status doctor lans backup_store"}
_OF_PROJECTS = {NEUTRON_MEMBER: "exports forwards imports protections"}


def _named(prefix: str, table: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for check, names in table.items():
        for name in names.split():
            yield prefix + name, check


def identity() -> Iterator[tuple[str, str]]:
    return _named("identity:", _IDENTITY)


def scoped_to_projects() -> Iterator[tuple[str, str]]:
    """Of services whose objects belong to projects."""
    yield from _named("", _IMAGE)
    yield from _named("", _NETWORK)
    yield from _named("", _VOLUME)
    yield from _named("novalite:admin:", _OF_PROJECTS)


def of_any_scope() -> Iterator[tuple[str, str]]:
    yield from _named("placement:", _PLACEMENT)
    yield from _named("novalite:admin:", _APPLIANCE)
