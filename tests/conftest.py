"""For all tests: examples that are drawn may take the time they take, on however busy a machine."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile("novalite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("novalite")
