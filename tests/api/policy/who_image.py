"""Who may do what by the defaults that Glance documents, operation by operation."""

MAY = {
    "public": """
        GET /
        GET /versions
    """,
    "project": """
        GET /v2/schemas/image
        GET /v2/schemas/images
        GET /v2/schemas/member
        GET /v2/schemas/members
        GET /v2/schemas/task
        GET /v2/schemas/tasks
        GET /v2/info/import
        GET /v2/info/stores
    """,
    "reader": """
        GET /v2/images
        GET /v2/images/{image_id}
        GET /v2/images/{image_id}/members
        GET /v2/images/{image_id}/members/{member_id}
        GET /v2/images/{image_id}/tasks
    """,
    "member": """
        POST /v2/images
        PATCH /v2/images/{image_id}
        DELETE /v2/images/{image_id}
        POST /v2/images/{image_id}/actions/deactivate
        POST /v2/images/{image_id}/actions/reactivate
        PUT /v2/images/{image_id}/file
        GET /v2/images/{image_id}/file
        PUT /v2/images/{image_id}/stage
        POST /v2/images/{image_id}/import
        PUT /v2/images/{image_id}/tags/{tag}
        DELETE /v2/images/{image_id}/tags/{tag}
        POST /v2/images/{image_id}/members
        PUT /v2/images/{image_id}/members/{member_id}
        DELETE /v2/images/{image_id}/members/{member_id}
    """,
    "admin": """
        GET /v2/tasks
        POST /v2/tasks
        GET /v2/tasks/{task_id}
        GET /v2/info/stores/detail
        DELETE /v2/stores/{store}/{image_id}
    """,
}
