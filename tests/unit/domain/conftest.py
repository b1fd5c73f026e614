"""Hypothesis settings of the domain's tests: `HYPOTHESIS_PROFILE=long` looks ten times longer."""

import os

from hypothesis import HealthCheck, settings

COMMON = {"deadline": None, "database": None, "print_blob": True, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("ci", max_examples=60, stateful_step_count=40, **COMMON)
settings.register_profile("long", max_examples=2_000, stateful_step_count=80, **COMMON)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))
