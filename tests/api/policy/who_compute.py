"""Who may do what by the defaults that Nova documents, operation by operation."""

MAY = {
    "keys_of": """
        GET /v2.1/os-keypairs
        POST /v2.1/os-keypairs
        GET /v2.1/os-keypairs/{name:path}
        DELETE /v2.1/os-keypairs/{name:path}
    """,
    "public": """
        GET /
        GET /v2.1
        GET /v2.1/versions/{version_id}
        GET /versions/{version_id}
    """,
    "token": """
        GET /v2.1/flavors
        GET /v2.1/flavors/detail
        GET /v2.1/flavors/{flavor_id}
        GET /v2.1/os-agents
        POST /v2.1/os-agents
        PUT /v2.1/os-agents/{agent_id}
        DELETE /v2.1/os-agents/{agent_id}
        GET /v2.1/os-cloudpipe
        POST /v2.1/os-cloudpipe
        PUT /v2.1/os-cloudpipe/{which}
        GET /v2.1/os-fping
        GET /v2.1/os-fping/{server_id}
        GET /v2.1/os-cells
        POST /v2.1/os-cells
        GET /v2.1/os-cells/detail
        GET /v2.1/os-cells/info
        GET /v2.1/os-cells/capacities
        POST /v2.1/os-cells/sync_instances
        GET /v2.1/os-cells/{name}
        PUT /v2.1/os-cells/{name}
        DELETE /v2.1/os-cells/{name}
        GET /v2.1/os-cells/{name}/capacities
        POST /v2.1/os-certificates
        GET /v2.1/os-certificates/{certificate_id}
        GET /v2.1/servers/{server_id}/consoles
        POST /v2.1/servers/{server_id}/consoles
        GET /v2.1/servers/{server_id}/consoles/{console_id}
        DELETE /v2.1/servers/{server_id}/consoles/{console_id}
        POST /v2.1/servers/{server_id}/action resetNetwork
    """,
    "project": """
        GET /v2.1/limits
        GET /v2.1/os-quota-sets/{project_id}/defaults
        GET /v2.1/os-availability-zone
        GET /v2.1/extensions
        GET /v2.1/extensions/{alias}
        GET /v2.1/os-floating-ip-pools
    """,
    "reader": """
        GET /v2.1/servers
        GET /v2.1/servers/detail
        GET /v2.1/servers/{server_id}
        GET /v2.1/servers/{server_id}/metadata
        GET /v2.1/servers/{server_id}/metadata/{key}
        GET /v2.1/servers/{server_id}/tags
        GET /v2.1/servers/{server_id}/tags/{tag}
        GET /v2.1/servers/{server_id}/ips
        GET /v2.1/servers/{server_id}/ips/{label}
        GET /v2.1/servers/{server_id}/os-instance-actions
        GET /v2.1/servers/{server_id}/os-instance-actions/{request_id}
        GET /v2.1/flavors/{flavor_id}/os-extra_specs
        GET /v2.1/flavors/{flavor_id}/os-extra_specs/{key}
        GET /v2.1/os-server-groups
        GET /v2.1/os-server-groups/{group_id}
        GET /v2.1/servers/{server_id}/os-interface
        GET /v2.1/servers/{server_id}/os-interface/{port_id}
        GET /v2.1/servers/{server_id}/os-virtual-interfaces
        GET /v2.1/servers/{server_id}/os-volume_attachments
        GET /v2.1/servers/{server_id}/os-volume_attachments/{volume_id}
        GET /v2.1/servers/{server_id}/os-server-password
        GET /v2.1/servers/{server_id}/topology
        GET /v2.1/os-security-groups
        GET /v2.1/os-security-groups/{group_id}
        GET /v2.1/servers/{server_id}/os-security-groups
        GET /v2.1/servers/{server_id}/shares
        GET /v2.1/servers/{server_id}/shares/{share_id}
        GET /v2.1/images
        GET /v2.1/images/detail
        GET /v2.1/images/{image_id}
        GET /v2.1/images/{image_id}/metadata
        GET /v2.1/images/{image_id}/metadata/{key}
        GET /v2.1/os-networks
        GET /v2.1/os-networks/{network_id}
        GET /v2.1/os-tenant-networks
        GET /v2.1/os-tenant-networks/{network_id}
        GET /v2.1/os-floating-ips
        GET /v2.1/os-floating-ips/{floating_id}
        GET /v2.1/os-volumes
        GET /v2.1/os-volumes/detail
        GET /v2.1/os-volumes/{id}
        GET /v2.1/os-snapshots
        GET /v2.1/os-snapshots/detail
        GET /v2.1/os-snapshots/{id}
    """,
    "reader_here": """
        GET /v2.1/os-quota-sets/{project_id}
        GET /v2.1/os-quota-sets/{project_id}/detail
        GET /v2.1/os-simple-tenant-usage/{project_id}
    """,
    "member": """
        POST /v2.1/servers
        PUT /v2.1/servers/{server_id}
        DELETE /v2.1/servers/{server_id}
        POST /v2.1/servers/{server_id}/action os-start
        POST /v2.1/servers/{server_id}/action os-stop
        POST /v2.1/servers/{server_id}/action pause
        POST /v2.1/servers/{server_id}/action unpause
        POST /v2.1/servers/{server_id}/action suspend
        POST /v2.1/servers/{server_id}/action resume
        POST /v2.1/servers/{server_id}/action reboot
        POST /v2.1/servers/{server_id}/action lock
        POST /v2.1/servers/{server_id}/action unlock
        POST /v2.1/servers/{server_id}/action forceDelete
        POST /v2.1/servers/{server_id}/action restore
        POST /v2.1/servers/{server_id}/action trigger_crash_dump
        POST /v2.1/servers/{server_id}/action rebuild
        POST /v2.1/servers/{server_id}/action rescue
        POST /v2.1/servers/{server_id}/action unrescue
        POST /v2.1/servers/{server_id}/action resize
        POST /v2.1/servers/{server_id}/action confirmResize
        POST /v2.1/servers/{server_id}/action revertResize
        POST /v2.1/servers/{server_id}/action changePassword
        POST /v2.1/servers/{server_id}/action createImage
        POST /v2.1/servers/{server_id}/action createBackup
        POST /v2.1/servers/{server_id}/action shelve
        POST /v2.1/servers/{server_id}/action unshelve
        POST /v2.1/servers/{server_id}/action os-getConsoleOutput
        POST /v2.1/servers/{server_id}/action os-getVNCConsole
        POST /v2.1/servers/{server_id}/action os-getSPICEConsole
        POST /v2.1/servers/{server_id}/action os-getSerialConsole
        POST /v2.1/servers/{server_id}/remote-consoles
        POST /v2.1/servers/{server_id}/metadata
        PUT /v2.1/servers/{server_id}/metadata
        PUT /v2.1/servers/{server_id}/metadata/{key}
        DELETE /v2.1/servers/{server_id}/metadata/{key}
        PUT /v2.1/servers/{server_id}/tags
        DELETE /v2.1/servers/{server_id}/tags
        PUT /v2.1/servers/{server_id}/tags/{tag}
        DELETE /v2.1/servers/{server_id}/tags/{tag}
        POST /v2.1/os-server-groups
        DELETE /v2.1/os-server-groups/{group_id}
        POST /v2.1/servers/{server_id}/os-interface
        DELETE /v2.1/servers/{server_id}/os-interface/{port_id}
        POST /v2.1/servers/{server_id}/os-volume_attachments
        PUT /v2.1/servers/{server_id}/os-volume_attachments/{volume_id}
        DELETE /v2.1/servers/{server_id}/os-volume_attachments/{volume_id}
        DELETE /v2.1/servers/{server_id}/os-server-password
        POST /v2.1/os-security-groups
        PUT /v2.1/os-security-groups/{group_id}
        DELETE /v2.1/os-security-groups/{group_id}
        POST /v2.1/os-security-group-rules
        DELETE /v2.1/os-security-group-rules/{rule_id}
        POST /v2.1/servers/{server_id}/action addSecurityGroup
        POST /v2.1/servers/{server_id}/action removeSecurityGroup
        POST /v2.1/servers/{server_id}/shares
        DELETE /v2.1/servers/{server_id}/shares/{share_id}
        DELETE /v2.1/images/{image_id}
        POST /v2.1/images/{image_id}/metadata
        PUT /v2.1/images/{image_id}/metadata
        PUT /v2.1/images/{image_id}/metadata/{key}
        DELETE /v2.1/images/{image_id}/metadata/{key}
        DELETE /v2.1/os-tenant-networks/{network_id}
        POST /v2.1/os-floating-ips
        DELETE /v2.1/os-floating-ips/{floating_id}
        POST /v2.1/servers/{server_id}/action addFloatingIp
        POST /v2.1/servers/{server_id}/action removeFloatingIp
        POST /v2.1/servers/{server_id}/action addFixedIp
        POST /v2.1/servers/{server_id}/action removeFixedIp
        POST /v2.1/os-volumes
        DELETE /v2.1/os-volumes/{id}
        POST /v2.1/os-snapshots
        DELETE /v2.1/os-snapshots/{id}
        POST /v2.1/servers/{server_id}/action os-getRDPConsole
    """,
    "manager": """
        POST /v2.1/servers/{server_id}/action migrate
        POST /v2.1/servers/{server_id}/action os-migrateLive
        GET /v2.1/os-migrations
        GET /v2.1/servers/{server_id}/migrations
        DELETE /v2.1/servers/{server_id}/migrations/{migration_id}
        POST /v2.1/servers/{server_id}/migrations/{migration_id}/action force_complete
    """,
    "service": """
        POST /v2.1/os-server-external-events
        POST /v2.1/os-assisted-volume-snapshots
        DELETE /v2.1/os-assisted-volume-snapshots/{snapshot_id}
    """,
    "admin": """
        POST /v2.1/servers/{server_id}/action os-resetState
        POST /v2.1/servers/{server_id}/action injectNetworkInfo
        POST /v2.1/servers/{server_id}/action evacuate
        POST /v2.1/servers/{server_id}/action shelveOffload
        GET /v2.1/os-console-auth-tokens/{token}
        POST /v2.1/flavors
        PUT /v2.1/flavors/{flavor_id}
        DELETE /v2.1/flavors/{flavor_id}
        POST /v2.1/flavors/{flavor_id}/os-extra_specs
        PUT /v2.1/flavors/{flavor_id}/os-extra_specs/{key}
        DELETE /v2.1/flavors/{flavor_id}/os-extra_specs/{key}
        GET /v2.1/flavors/{flavor_id}/os-flavor-access
        POST /v2.1/flavors/{flavor_id}/action addTenantAccess
        POST /v2.1/flavors/{flavor_id}/action removeTenantAccess
        PUT /v2.1/os-quota-sets/{project_id}
        DELETE /v2.1/os-quota-sets/{project_id}
        GET /v2.1/os-hypervisors
        GET /v2.1/os-hypervisors/detail
        GET /v2.1/os-hypervisors/statistics
        GET /v2.1/os-hypervisors/{hypervisor_id}
        GET /v2.1/os-hypervisors/{hypervisor_id}/uptime
        GET /v2.1/os-hypervisors/{hypervisor_id}/search
        GET /v2.1/os-hypervisors/{hypervisor_id}/servers
        GET /v2.1/os-services
        PUT /v2.1/os-services/enable
        PUT /v2.1/os-services/disable
        PUT /v2.1/os-services/disable-log-reason
        PUT /v2.1/os-services/force-down
        PUT /v2.1/os-services/{service_id}
        DELETE /v2.1/os-services/{service_id}
        GET /v2.1/os-availability-zone/detail
        GET /v2.1/os-aggregates
        POST /v2.1/os-aggregates
        GET /v2.1/os-aggregates/{aggregate_id}
        PUT /v2.1/os-aggregates/{aggregate_id}
        DELETE /v2.1/os-aggregates/{aggregate_id}
        POST /v2.1/os-aggregates/{aggregate_id}/action add_host
        POST /v2.1/os-aggregates/{aggregate_id}/action remove_host
        POST /v2.1/os-aggregates/{aggregate_id}/action set_metadata
        POST /v2.1/os-aggregates/{aggregate_id}/images
        GET /v2.1/os-simple-tenant-usage
        GET /v2.1/servers/{server_id}/diagnostics
        GET /v2.1/servers/{server_id}/migrations/{migration_id}
        GET /v2.1/os-quota-class-sets/{class_name}
        PUT /v2.1/os-quota-class-sets/{class_name}
        GET /v2.1/os-instance_usage_audit_log
        GET /v2.1/os-instance_usage_audit_log/{before}
        GET /v2.1/os-hosts
        GET /v2.1/os-hosts/{host}
        PUT /v2.1/os-hosts/{host}
        GET /v2.1/os-hosts/{host}/startup
        GET /v2.1/os-hosts/{host}/shutdown
        GET /v2.1/os-hosts/{host}/reboot
        POST /v2.1/os-networks
        DELETE /v2.1/os-networks/{network_id}
        POST /v2.1/os-networks/add
        POST /v2.1/os-networks/{network_id}/action disassociate
        POST /v2.1/os-networks/{network_id}/action disassociate_host
        POST /v2.1/os-networks/{network_id}/action disassociate_project
        POST /v2.1/os-networks/{network_id}/action associate_host
        POST /v2.1/os-tenant-networks
        GET /v2.1/os-floating-ips-bulk
        GET /v2.1/os-floating-ips-bulk/{host}
        POST /v2.1/os-floating-ips-bulk
        PUT /v2.1/os-floating-ips-bulk/delete
        GET /v2.1/os-fixed-ips/{address}
        POST /v2.1/os-fixed-ips/{address}/action reserve
        POST /v2.1/os-fixed-ips/{address}/action unreserve
        GET /v2.1/os-floating-ip-dns
        PUT /v2.1/os-floating-ip-dns/{domain}
        DELETE /v2.1/os-floating-ip-dns/{domain}
        GET /v2.1/os-floating-ip-dns/{domain}/entries/{name}
        PUT /v2.1/os-floating-ip-dns/{domain}/entries/{name}
        DELETE /v2.1/os-floating-ip-dns/{domain}/entries/{name}
        GET /v2.1/os-security-group-default-rules
        POST /v2.1/os-security-group-default-rules
        GET /v2.1/os-security-group-default-rules/{rule_id}
        DELETE /v2.1/os-security-group-default-rules/{rule_id}
        GET /v2.1/os-baremetal-nodes
        GET /v2.1/os-baremetal-nodes/{node_id}
        POST /v2.1/os-baremetal-nodes
        DELETE /v2.1/os-baremetal-nodes/{node_id}
        POST /v2.1/os-baremetal-nodes/{node_id}/action
    """,
}
