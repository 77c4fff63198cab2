"""Who may look at the appliance itself."""

MAY = {
    "cloud_admin": """
        GET /status
        GET /doctor
        GET /lans
        POST /lans
        DELETE /lans/{name}
        GET /foreign-guests
        GET /adoptions
        POST /adoptions
        GET /adoptions/{server_id}
        PATCH /adoptions/{server_id}
        POST /adoptions/{server_id}/undo
        GET /backup-store
        POST /backup-store/take-over
        POST /backup-store/backups/{backup_id}/import
    """,
    "member": """
        GET /forwards
        POST /forwards
        DELETE /forwards/{forward_id}
        GET /protections
        GET /protections/{resource_id}
        PUT /protections/{resource_id}
        DELETE /protections/{resource_id}
        GET /protections/{resource_id}/runs
        POST /protections/{resource_id}/runs
        GET /protections/{resource_id}/tests
        POST /protections/{resource_id}/tests
        POST /protections/{resource_id}/restore
        GET /exports
        POST /exports
        GET /exports/{export_id}
        DELETE /exports/{export_id}
        GET /imports
        POST /imports
        GET /imports/{import_id}
        POST /imports/{import_id}/begin
        DELETE /imports/{import_id}
    """,
}
