"""Settings that every test shares."""

import os

from hypothesis import settings

# Tests run side by side, one on each core: more threads than one would only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A first import can take seconds, which is no fault of the example that happens to cause it.
settings.register_profile("workflow", deadline=None, max_examples=50)
# In CI the examples are the same each time, so that a change fails by what it changes; elsewhere they are new ones.
settings.register_profile("workflow in CI", settings.get_profile("workflow"), derandomize=True)
settings.load_profile("workflow in CI" if "CI" in os.environ else "workflow")
