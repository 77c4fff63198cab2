"""python-novaclient's own functional tests: the ``nova`` command and its library against the running cloud."""

from __future__ import annotations

import json
from pathlib import Path

from conformance.cloud import Cloud
from conformance.environment import Environment
from conformance.suite import Suite


def prepare(environment: Environment, cloud: Cloud, directory: Path) -> dict[str, str]:
    """Write the configuration of clouds (YAML, of which JSON is a part), readable for its owner only."""
    given, network = cloud.credentials, cloud.first_network(external=False)
    access = {
        "auth_url": given["OS_AUTH_URL"],
        "username": given["OS_USERNAME"],
        "password": given["OS_PASSWORD"],
        "project_name": given["OS_PROJECT_NAME"],
        "user_domain_id": "default",
        "project_domain_id": "default",
    }
    file = directory / "clouds.yaml"
    file.touch(mode=0o600)
    file.write_text(
        json.dumps({"clouds": {"functional_admin": {"region_name": given["OS_REGION_NAME"], "auth": access}}})
    )
    return {
        "OS_CLIENT_CONFIG_FILE": str(file),
        "TOX_ENV_DIR": str(environment.directory),
        "OS_NOVACLIENT_EXEC_DIR": str(environment.directory / "bin"),
        "OS_NOVACLIENT_NETWORK": network["name"] if network else "",
    }


NOVACLIENT = Suite(
    name="novaclient",
    packages=("python-novaclient", "openstacksdk", "testscenarios", "testtools", "stestr", "tempest"),
    tests="novaclient/tests/functional",
    group=r"([^\.]+\.)+",
    whole=r"^novaclient\.tests\.functional\.",
    smoke=r"legacy\.test_readonly_nova",
    part=r"legacy\.test_readonly_nova",
    most_workers=1,  # its tests count what all of them use
    prepare=prepare,
)
