"""Other people's test-suites, unmodified, against an appliance of their own: ``./run conformance``."""
