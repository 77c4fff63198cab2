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
        GET /v2/info/usage
        GET /v2/schemas/metadefs/namespace
        GET /v2/schemas/metadefs/namespaces
        GET /v2/schemas/metadefs/resource_type
        GET /v2/schemas/metadefs/resource_types
        GET /v2/schemas/metadefs/object
        GET /v2/schemas/metadefs/objects
        GET /v2/schemas/metadefs/property
        GET /v2/schemas/metadefs/properties
        GET /v2/schemas/metadefs/tag
        GET /v2/schemas/metadefs/tags
    """,
    "reader": """
        GET /v2/images
        GET /v2/images/{image_id}
        GET /v2/images/{image_id}/members
        GET /v2/images/{image_id}/members/{member_id}
        GET /v2/images/{image_id}/tasks
        GET /v2/metadefs/namespaces
        GET /v2/metadefs/namespaces/{namespace}
        GET /v2/metadefs/resource_types
        GET /v2/metadefs/namespaces/{namespace}/resource_types
        GET /v2/metadefs/namespaces/{namespace}/objects
        GET /v2/metadefs/namespaces/{namespace}/objects/{name}
        GET /v2/metadefs/namespaces/{namespace}/properties
        GET /v2/metadefs/namespaces/{namespace}/properties/{name}
        GET /v2/metadefs/namespaces/{namespace}/tags
        GET /v2/metadefs/namespaces/{namespace}/tags/{name}
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
        POST /v2/metadefs/namespaces
        PUT /v2/metadefs/namespaces/{namespace}
        DELETE /v2/metadefs/namespaces/{namespace}
        POST /v2/metadefs/namespaces/{namespace}/resource_types
        DELETE /v2/metadefs/namespaces/{namespace}/resource_types/{resource_type}
        POST /v2/metadefs/namespaces/{namespace}/objects
        PUT /v2/metadefs/namespaces/{namespace}/objects/{name}
        DELETE /v2/metadefs/namespaces/{namespace}/objects/{name}
        DELETE /v2/metadefs/namespaces/{namespace}/objects
        POST /v2/metadefs/namespaces/{namespace}/properties
        PUT /v2/metadefs/namespaces/{namespace}/properties/{name}
        DELETE /v2/metadefs/namespaces/{namespace}/properties/{name}
        DELETE /v2/metadefs/namespaces/{namespace}/properties
        POST /v2/metadefs/namespaces/{namespace}/tags
        PUT /v2/metadefs/namespaces/{namespace}/tags/{name}
        DELETE /v2/metadefs/namespaces/{namespace}/tags/{name}
        DELETE /v2/metadefs/namespaces/{namespace}/tags
        POST /v2/metadefs/namespaces/{namespace}/tags/{name}
        GET /v2/info/stores/detail
        DELETE /v2/stores/{store}/{image_id}
    """,
}
