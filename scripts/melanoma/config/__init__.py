"""The configuration of a study: read, checked, filled in."""

import os

# Pydantic would look for plugins in the metadata of all installed packages, which takes a dry run a tenth of a second.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
