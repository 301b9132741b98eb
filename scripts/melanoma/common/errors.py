"""The exception whose message is for the user of the workflow."""

from collections.abc import Iterable


class InputError(Exception):
    """An input of the workflow is wrong. The message says where, what was expected and what to do."""


def listing(items: Iterable[object], limit: int = 10) -> str:
    """Return `items`, one on each indented line. After `limit` of them, a line says how many more there are."""
    items = list(items)
    lines = [f"  - {item}" for item in items[:limit]]
    if len(items) > limit:
        lines.append(f"  ... and {len(items) - limit} more")
    return "\n".join(lines)
