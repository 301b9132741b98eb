"""Settings that every test shares."""

from hypothesis import settings

# A first import can take seconds, which is no fault of the example that happens to cause it.
settings.register_profile("workflow", deadline=None, max_examples=50)
settings.load_profile("workflow")
