"""Who may look at the appliance itself."""

MAY = {
    "cloud_admin": """
        GET /status
        GET /doctor
        GET /lans
        POST /lans
        DELETE /lans/{name}
    """,
    "member": """
        GET /forwards
        POST /forwards
        DELETE /forwards/{forward_id}
    """,
}
