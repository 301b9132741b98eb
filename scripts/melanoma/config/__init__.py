"""The configuration of a study: its models, their checks and their defaults."""

import os

# Pydantic looks for plugins in the metadata of all installed packages, which takes a tenth of a second.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
