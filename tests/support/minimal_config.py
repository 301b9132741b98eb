"""The shortest valid configuration, and variants of it."""

from copy import deepcopy
from typing import Any

MINIMAL = {
    "study": "mine",
    "data": {"sources": [{"name": "mine", "table": "train.csv", "images": "jpeg"}]},
    "models": {"cnn": {"network": "baseline_cnn"}, "mlp": {"network": "metadata_mlp"}},
}


def with_(path: str, value: Any) -> dict[str, Any]:
    """Return the minimal configuration with `value` at a dotted path."""
    config = deepcopy(MINIMAL)
    *parents, last = path.split(".")
    at = config
    for key in parents:
        at = at.setdefault(key, {})
    at[last] = value
    return config
