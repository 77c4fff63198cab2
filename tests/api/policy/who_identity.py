"""Who may do what by the defaults that Keystone documents, operation by operation."""

MAY = {
    "public": """
        GET /
        GET /v3
        POST /v3/auth/tokens
        POST /v3/users/{user_id}/password
    """,
    "token": """
        GET /v3/OS-TRUST/trusts/{trust_id}
        DELETE /v3/OS-TRUST/trusts/{trust_id}
        GET /v3/OS-TRUST/trusts/{trust_id}/roles
        GET /v3/OS-TRUST/trusts/{trust_id}/roles/{role_id}
        HEAD /v3/OS-TRUST/trusts/{trust_id}/roles/{role_id}
        GET /v3/auth/catalog
        GET /v3/auth/projects
        GET /v3/auth/domains
        GET /v3/auth/system
        GET /v3/domains/{domain_id}
        GET /v3/regions
        GET /v3/regions/{id}
        GET /v3/credentials
        GET /v3/credentials/{id}
        PATCH /v3/credentials/{id}
        DELETE /v3/credentials/{id}
    """,
    "cloud_admin": """
        POST /v3/projects
        PATCH /v3/projects/{project_id}
        DELETE /v3/projects/{project_id}
        POST /v3/domains
        PATCH /v3/domains/{domain_id}
        DELETE /v3/domains/{domain_id}
        POST /v3/users
        PATCH /v3/users/{user_id}
        DELETE /v3/users/{user_id}
        POST /v3/roles
        PATCH /v3/roles/{role_id}
        DELETE /v3/roles/{role_id}
        PUT /v3/projects/{project_id}/users/{user_id}/roles/{role_id}
        DELETE /v3/projects/{project_id}/users/{user_id}/roles/{role_id}
        PUT /v3/domains/{domain_id}/users/{user_id}/roles/{role_id}
        DELETE /v3/domains/{domain_id}/users/{user_id}/roles/{role_id}
        PUT /v3/system/users/{user_id}/roles/{role_id}
        DELETE /v3/system/users/{user_id}/roles/{role_id}
        POST /v3/regions
        PATCH /v3/regions/{id}
        DELETE /v3/regions/{id}
        PUT /v3/regions/{id}
        POST /v3/services
        PATCH /v3/services/{id}
        DELETE /v3/services/{id}
        POST /v3/endpoints
        PATCH /v3/endpoints/{id}
        DELETE /v3/endpoints/{id}
        POST /v3/policies
        PATCH /v3/policies/{id}
        DELETE /v3/policies/{id}
        POST /v3/groups
        PATCH /v3/groups/{group_id}
        DELETE /v3/groups/{group_id}
        PUT /v3/groups/{group_id}/users/{user_id}
        DELETE /v3/groups/{group_id}/users/{user_id}
        PUT /v3/projects/{project_id}/groups/{group_id}/roles/{role_id}
        DELETE /v3/projects/{project_id}/groups/{group_id}/roles/{role_id}
        PUT /v3/domains/{domain_id}/groups/{group_id}/roles/{role_id}
        DELETE /v3/domains/{domain_id}/groups/{group_id}/roles/{role_id}
        PUT /v3/system/groups/{group_id}/roles/{role_id}
        DELETE /v3/system/groups/{group_id}/roles/{role_id}
    """,
    "system": """
        GET /v3/OS-TRUST/trusts
        GET /v3/projects
        GET /v3/domains
        GET /v3/users
        GET /v3/roles
        GET /v3/roles/{role_id}
        GET /v3/projects/{project_id}/users/{user_id}/roles
        HEAD /v3/projects/{project_id}/users/{user_id}/roles/{role_id}
        GET /v3/projects/{project_id}/users/{user_id}/roles/{role_id}
        GET /v3/domains/{domain_id}/users/{user_id}/roles
        HEAD /v3/domains/{domain_id}/users/{user_id}/roles/{role_id}
        GET /v3/domains/{domain_id}/users/{user_id}/roles/{role_id}
        GET /v3/system/users/{user_id}/roles
        HEAD /v3/system/users/{user_id}/roles/{role_id}
        GET /v3/system/users/{user_id}/roles/{role_id}
        GET /v3/role_assignments
        GET /v3/services
        GET /v3/services/{id}
        GET /v3/endpoints
        GET /v3/endpoints/{id}
        GET /v3/policies
        GET /v3/policies/{id}
        GET /v3/groups
        GET /v3/groups/{group_id}
        GET /v3/groups/{group_id}/users
        HEAD /v3/groups/{group_id}/users/{user_id}
        GET /v3/groups/{group_id}/users/{user_id}
        GET /v3/projects/{project_id}/groups/{group_id}/roles
        HEAD /v3/projects/{project_id}/groups/{group_id}/roles/{role_id}
        GET /v3/projects/{project_id}/groups/{group_id}/roles/{role_id}
        GET /v3/domains/{domain_id}/groups/{group_id}/roles
        HEAD /v3/domains/{domain_id}/groups/{group_id}/roles/{role_id}
        GET /v3/domains/{domain_id}/groups/{group_id}/roles/{role_id}
        GET /v3/system/groups/{group_id}/roles
        HEAD /v3/system/groups/{group_id}/roles/{role_id}
        GET /v3/system/groups/{group_id}/roles/{role_id}
    """,
    "here": """
        GET /v3/projects/{project_id}
    """,
    "own": """
        GET /v3/users/{user_id}
        GET /v3/users/{user_id}/projects
        GET /v3/users/{user_id}/application_credentials
        GET /v3/users/{user_id}/application_credentials/{credential_id}
        GET /v3/users/{user_id}/credentials/OS-EC2
        GET /v3/users/{user_id}/credentials/OS-EC2/{access}
        GET /v3/users/{user_id}/groups
    """,
    "self": """
        POST /v3/OS-TRUST/trusts
        POST /v3/users/{user_id}/application_credentials
    """,
    "self_or_admin": """
        DELETE /v3/users/{user_id}/application_credentials/{credential_id}
        POST /v3/credentials
        POST /v3/users/{user_id}/credentials/OS-EC2
        DELETE /v3/users/{user_id}/credentials/OS-EC2/{access}
    """,
    "subject": """
        GET /v3/auth/tokens
    """,
    "ender": """
        DELETE /v3/auth/tokens
    """,
}
