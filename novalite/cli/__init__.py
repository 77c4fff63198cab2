"""The ``novalite`` command: people's commands speak HTTP only, operators' run and inspect an appliance."""
