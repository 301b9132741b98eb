"""The options in which two studies differ, by their dotted names."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

ABSENT = "(absent)"


@dataclass(frozen=True)
class Difference:
    """An option with its value in each study, as text."""

    option: str
    first: str
    second: str


def differences(first: dict[str, Any], second: dict[str, Any]) -> list[Difference]:
    """Return the options whose values differ, in the order of the first study and then of the second.

    A block that only one study has, such as a model, is one difference.
    """
    return list(_differences(first, second, ""))


def _differences(first: dict[str, Any], second: dict[str, Any], prefix: str) -> Iterator[Difference]:
    for key in first | second:
        name = f"{prefix}{key}"
        one, other = first.get(key, ABSENT), second.get(key, ABSENT)
        if isinstance(one, dict) and isinstance(other, dict):
            yield from _differences(one, other, f"{name}.")
        elif one != other:
            yield Difference(name, _shown(one), _shown(other))


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return str(value.get("network") or value.get("method") or "given")
    return "none" if value is None else str(value)
