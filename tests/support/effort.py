"""How many random cases a test draws: few in `make test`, many in `make test-slow`."""

import os


def drawn(few: int, many: int) -> int:
    """Return `many` where SLOW is in the environment, else `few`."""
    return many if "SLOW" in os.environ else few
