"""Who may do what by the defaults that Cinder documents, operation by operation."""

MAY = {
    "public": """
        GET /
        GET /v3
    """,
    "reader": """
        GET /v3/volumes
        GET /v3/volumes/detail
        GET /v3/volumes/summary
        GET /v3/volumes/{volume_id}
        GET /v3/volumes/{volume_id}/encryption
        GET /v3/volumes/{volume_id}/encryption/{key}
        POST /v3/volumes/{id}/action os-show_image_metadata
        GET /v3/volumes/{id}/metadata
        GET /v3/volumes/{id}/metadata/{key}
        GET /v3/snapshots/{id}/metadata
        GET /v3/snapshots/{id}/metadata/{key}
        GET /v3/snapshots
        GET /v3/snapshots/detail
        GET /v3/snapshots/{id}
        GET /v3/attachments
        GET /v3/attachments/detail
        GET /v3/attachments/{id}
        GET /v3/types
        GET /v3/types/default
        GET /v3/types/{id}
        GET /v3/types/{id}/extra_specs
        GET /v3/types/{id}/extra_specs/{key}
        GET /v3/limits
        GET /v3/os-availability-zone
        GET /v3/extensions
        GET /v3/extensions/{alias}
        GET /v3/resource_filters
        GET /v3/messages
        GET /v3/messages/{id}
        GET /v3/groups
        GET /v3/groups/detail
        GET /v3/groups/{id}
        GET /v3/group_types
        GET /v3/group_types/default
        GET /v3/group_types/{id}
        GET /v3/group_snapshots
        GET /v3/group_snapshots/detail
        GET /v3/group_snapshots/{id}
        GET /v3/backups
        GET /v3/backups/detail
        GET /v3/backups/{id}
        GET /v3/os-volume-transfer
        GET /v3/os-volume-transfer/detail
        GET /v3/os-volume-transfer/{id}
        GET /v3/volume-transfers
        GET /v3/volume-transfers/detail
        GET /v3/volume-transfers/{id}
    """,
    "reader_here": """
        GET /v3/os-quota-sets/{project_id}
        GET /v3/os-quota-sets/{project_id}/defaults
    """,
    "member": """
        POST /v3/volumes
        PUT /v3/volumes/{volume_id}
        DELETE /v3/volumes/{volume_id}
        POST /v3/volumes/{id}/action os-extend
        POST /v3/volumes/{id}/action os-set_bootable
        POST /v3/volumes/{id}/action os-update_readonly_flag
        POST /v3/volumes/{id}/action os-volume_upload_image
        POST /v3/volumes/{id}/action os-set_image_metadata
        POST /v3/volumes/{id}/action os-unset_image_metadata
        POST /v3/volumes/{id}/action os-retype
        POST /v3/volumes/{id}/action revert
        POST /v3/volumes/{id}/action os-reimage
        POST /v3/volumes/{id}/action os-reserve
        POST /v3/volumes/{id}/action os-unreserve
        POST /v3/volumes/{id}/action os-begin_detaching
        POST /v3/volumes/{id}/action os-roll_detaching
        POST /v3/volumes/{id}/action os-attach
        POST /v3/volumes/{id}/action os-detach
        POST /v3/volumes/{id}/action os-initialize_connection
        POST /v3/volumes/{id}/action os-terminate_connection
        POST /v3/volumes/{id}/metadata
        PUT /v3/volumes/{id}/metadata
        PUT /v3/volumes/{id}/metadata/{key}
        DELETE /v3/volumes/{id}/metadata/{key}
        POST /v3/snapshots/{id}/metadata
        PUT /v3/snapshots/{id}/metadata
        PUT /v3/snapshots/{id}/metadata/{key}
        DELETE /v3/snapshots/{id}/metadata/{key}
        POST /v3/snapshots
        PUT /v3/snapshots/{id}
        DELETE /v3/snapshots/{id}
        POST /v3/snapshots/{id}/action os-update_snapshot_status
        POST /v3/attachments
        PUT /v3/attachments/{id}
        DELETE /v3/attachments/{id}
        POST /v3/attachments/{id}/action os-complete
        DELETE /v3/messages/{id}
        POST /v3/groups
        PUT /v3/groups/{id}
        POST /v3/groups/action create-from-src
        POST /v3/groups/{id}/action delete
        POST /v3/group_snapshots
        PUT /v3/group_snapshots/{id}
        DELETE /v3/group_snapshots/{id}
        POST /v3/backups
        PUT /v3/backups/{id}
        DELETE /v3/backups/{id}
        POST /v3/backups/{id}/restore
        POST /v3/os-volume-transfer
        DELETE /v3/os-volume-transfer/{id}
        POST /v3/os-volume-transfer/{id}/accept
        POST /v3/volume-transfers
        DELETE /v3/volume-transfers/{id}
        POST /v3/volume-transfers/{id}/accept
    """,
    "admin": """
        POST /v3/volumes/{id}/action os-reset_status
        POST /v3/volumes/{id}/action os-force_delete
        GET /v3/manageable_volumes
        GET /v3/manageable_volumes/detail
        GET /v3/manageable_snapshots
        GET /v3/manageable_snapshots/detail
        POST /v3/manageable_volumes
        POST /v3/os-volume-manage
        POST /v3/manageable_snapshots
        POST /v3/os-snapshot-manage
        POST /v3/volumes/{id}/action os-unmanage
        POST /v3/snapshots/{id}/action os-unmanage
        POST /v3/volumes/{id}/action os-migrate_volume
        POST /v3/volumes/{id}/action os-migrate_volume_completion
        POST /v3/volumes/{id}/action os-force_detach
        POST /v3/snapshots/{id}/action os-reset_status
        POST /v3/snapshots/{id}/action os-force_delete
        POST /v3/types
        PUT /v3/types/{id}
        DELETE /v3/types/{id}
        POST /v3/types/{id}/extra_specs
        PUT /v3/types/{id}/extra_specs/{key}
        DELETE /v3/types/{id}/extra_specs/{key}
        GET /v3/types/{id}/os-volume-type-access
        GET /v3/types/{id}/encryption
        POST /v3/types/{id}/encryption
        GET /v3/types/{id}/encryption/{key}
        PUT /v3/types/{id}/encryption/{key}
        DELETE /v3/types/{id}/encryption/{key}
        POST /v3/types/{id}/action addProjectAccess
        POST /v3/types/{id}/action removeProjectAccess
        PUT /v3/os-quota-sets/{project_id}
        DELETE /v3/os-quota-sets/{project_id}
        GET /v3/os-quota-class-sets/{name}
        PUT /v3/os-quota-class-sets/{name}
        GET /v3/os-services
        PUT /v3/os-services/enable
        PUT /v3/os-services/disable
        PUT /v3/os-services/disable-log-reason
        PUT /v3/os-services/freeze
        PUT /v3/os-services/thaw
        PUT /v3/os-services/failover_host
        PUT /v3/os-services/failover
        PUT /v3/os-services/get-log
        PUT /v3/os-services/set-log
        GET /v3/scheduler-stats/get_pools
        GET /v3/os-hosts
        GET /v3/os-hosts/{host}
        GET /v3/capabilities/{host}
        POST /v3/groups/{id}/action reset_status
        POST /v3/group_snapshots/{id}/action reset_status
        POST /v3/group_types
        PUT /v3/group_types/{id}
        DELETE /v3/group_types/{id}
        GET /v3/group_types/{id}/group_specs
        POST /v3/group_types/{id}/group_specs
        GET /v3/group_types/{id}/group_specs/{key}
        PUT /v3/group_types/{id}/group_specs/{key}
        DELETE /v3/group_types/{id}/group_specs/{key}
        GET /v3/backups/{id}/export_record
        POST /v3/backups/import_record
        POST /v3/backups/{id}/action os-reset_status
        POST /v3/backups/{id}/action os-force_delete
        GET /v3/qos-specs
        POST /v3/qos-specs
        GET /v3/qos-specs/{id}
        PUT /v3/qos-specs/{id}
        DELETE /v3/qos-specs/{id}
        PUT /v3/qos-specs/{id}/delete_keys
        GET /v3/qos-specs/{id}/associations
        GET /v3/qos-specs/{id}/associate
        GET /v3/qos-specs/{id}/disassociate
        GET /v3/qos-specs/{id}/disassociate_all
    """,
}
