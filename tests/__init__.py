"""Tests, and proofs that are too long to be tests."""

from hypothesis import HealthCheck, settings

# How long an example takes says more of what else the machine does than of the code.
settings.register_profile("post3", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("post3")
