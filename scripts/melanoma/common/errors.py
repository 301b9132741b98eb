"""The one exception whose message is meant for the person running the workflow."""

from collections.abc import Iterable


class InputError(Exception):
    """Something given to the workflow is wrong: the message says where, what was expected and what to do."""


def listing(items: Iterable[object], limit: int = 10) -> str:
    """Join items one per indented line, at most `limit` of them, then how many more there are."""
    items = list(items)
    lines = [f"  - {item}" for item in items[:limit]]
    if len(items) > limit:
        lines.append(f"  ... and {len(items) - limit} more")
    return "\n".join(lines)
