"""Who may do what by the defaults that Neutron documents, operation by operation."""

MAY = {
    "public": """
        GET /
    """,
    "project": """
        GET /v2.0/agents
        GET /v2.0
        GET /v2.0/extensions
        GET /v2.0/extensions/{alias}
    """,
    "reader": """
        GET /v2.0/networks
        GET /v2.0/networks/{network_id}
        GET /v2.0/subnets
        GET /v2.0/subnets/{subnet_id}
        GET /v2.0/ports
        GET /v2.0/ports/{port_id}
        GET /v2.0/security-groups
        GET /v2.0/security-groups/{group_id}
        GET /v2.0/security-group-rules
        GET /v2.0/security-group-rules/{rule_id}
        GET /v2.0/routers
        GET /v2.0/routers/{router_id}
        GET /v2.0/floatingips
        GET /v2.0/floatingips/{floating_id}
        GET /v2.0/subnetpools
        GET /v2.0/subnetpools/{id}
        GET /v2.0/availability_zones
    """,
    "reader_here": """
        GET /v2.0/quotas/{project_id}
        GET /v2.0/quotas/{project_id}/default
        GET /v2.0/quotas/{project_id}/details.json
        GET /v2.0/quotas/{project_id}/details
    """,
    "member": """
        POST /v2.0/networks
        PUT /v2.0/networks/{network_id}
        DELETE /v2.0/networks/{network_id}
        POST /v2.0/subnets
        PUT /v2.0/subnets/{subnet_id}
        DELETE /v2.0/subnets/{subnet_id}
        POST /v2.0/ports
        PUT /v2.0/ports/{port_id}
        DELETE /v2.0/ports/{port_id}
        POST /v2.0/security-groups
        PUT /v2.0/security-groups/{group_id}
        DELETE /v2.0/security-groups/{group_id}
        POST /v2.0/security-group-rules
        DELETE /v2.0/security-group-rules/{rule_id}
        POST /v2.0/routers
        PUT /v2.0/routers/{router_id}
        DELETE /v2.0/routers/{router_id}
        PUT /v2.0/routers/{router_id}/add_router_interface
        PUT /v2.0/routers/{router_id}/remove_router_interface
        POST /v2.0/floatingips
        PUT /v2.0/floatingips/{floating_id}
        DELETE /v2.0/floatingips/{floating_id}
    """,
    "admin": """
        GET /v2.0/quotas
        PUT /v2.0/quotas/{project_id}
        DELETE /v2.0/quotas/{project_id}
        GET /v2.0/agents/{id}
    """,
}
