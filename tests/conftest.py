"""What holds for all tests."""

from hypothesis import settings

# A busy machine is no defect: no test is timed.
settings.register_profile("untimed", settings(deadline=None))
settings.load_profile("untimed")
