"""Tuning: the trials of a recipe's search space, all known before anything runs, and the choice among them.

A trial is named by its values, so adding values to a grid, or trials to a random search, leaves those done as they are.
"""

import difflib
import itertools
import json
from collections.abc import Iterator
from copy import deepcopy
from math import ceil, floor, isnan, log2
from typing import Any

from melanoma.common.files import sha256
from melanoma.config.schema import below, dereferenced

MOST_TRIALS = 1000
# What is no property of a model that could be better or worse, or decides which jobs there are.
FIXED = (
    "network", "file", "seed", "seeds", "tune", "tta", "resources", "checkpoint_batches", "checkpoint_minutes",
    "backbone.pretrained", "backbone.weights",
)  # fmt: skip
SCORES = {"auroc": 1, "average_precision": 1, "loss": -1}


def space_errors(tune: dict[str, Any], schema: dict[str, Any]) -> Iterator[str]:
    """Find what is wrong with a search space as a whole: unknown options, empty ranges, too many trials or too few."""
    space, method, known = tune["space"], tune["method"], option_names(schema)
    for name, choices in space.items():
        option = option_schema(name, schema)
        if option is None:
            close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            yield f"space: no option {name!r} in a recipe" + (f" (did you mean {close[0]!r}?)" if close else "")
        elif any(name == fixed or name.startswith(f"{fixed}.") for fixed in FIXED):
            yield f"space.{name}: is not tuned; give each value a model of its own"
        elif isinstance(choices, dict):
            yield from _range_errors(name, choices, option, method)
    if method == "grid" and tune["trials"] is not None:
        yield "trials: a grid has all combinations; leave trials out, or set method to random"
    if method == "grid" and (count := _grid_size(space)) > MOST_TRIALS:
        yield f"space: the grid has {count} combinations, at most {MOST_TRIALS} are run; set method to random"
    if method != "grid" and tune["trials"] is None:
        yield f"trials: method {method} needs a number of trials"


def trials(tune: dict[str, Any], schema: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the values of each trial by its name: option, named with dots, -> value.

    `tune` is the recipe's, checked by `space_errors`; `schema` is that of the configuration. Trials that come out alike
    are one.
    """
    space = tune["space"]
    if tune["method"] == "grid":
        drawn = itertools.product(*space.values())
    else:
        whole = [_is_whole(option_schema(name, schema)) for name in space]
        drawn = (
            [_value(*each) for each in zip(space.values(), whole, point, strict=True)]
            for point in _points(tune["method"], tune["trials"], len(space), tune["seed"])
        )
    named = (dict(zip(space, values, strict=True)) for values in drawn)
    return {trial_name(values): values for values in named}


def trial_name(values: dict[str, Any]) -> str:
    """Return the name of the trial with these values: 8 hexadecimal digits."""
    return sha256(json.dumps(values, sort_keys=True).encode())[:8]


def with_values(recipe: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of `recipe` with each value at its dotted name, and nothing left to tune.

    Raises LookupError where the recipe has no such place.
    """
    changed = deepcopy(recipe) | {"tune": None}
    for name, value in values.items():
        *parents, last = name.split(".")
        place: Any = changed
        for part in parents:
            place = place[int(part)] if isinstance(place, list) else place[part]
        if isinstance(place, list):
            place[int(last)] = deepcopy(value)
        else:
            place[last] = deepcopy(value)
    return changed


def best_trial(scores: dict[str, float], score: str) -> str:
    """Return the trial with the best score, the first of equal ones; NaN is worse than any number."""
    sign = SCORES[score]
    return max(scores, key=lambda name: float("-inf") if isnan(scores[name]) else sign * scores[name])


def option_schema(name: str, schema: dict[str, Any]) -> dict[str, Any] | None:
    """Return the schema of a recipe's option, named with dots, or None where there is none."""
    option = schema["$defs"]["recipe"]
    for part in name.split("."):
        option = below(option, part, schema["$defs"])
        if option is None:
            return None
    return option


def option_names(schema: dict[str, Any]) -> list[str]:
    """Return the dotted names of all options of a recipe that can be tuned."""

    def below(option: dict[str, Any], prefix: str) -> Iterator[str]:
        for name, child in option.get("properties", {}).items():
            yield f"{prefix}{name}"
            yield from below(dereferenced(child, schema["$defs"]), f"{prefix}{name}.")

    names = below(schema["$defs"]["recipe"], "")
    return [name for name in names if not any(name == fixed or name.startswith(f"{fixed}.") for fixed in FIXED)]


def _range_errors(name: str, choices: dict[str, Any], option: dict[str, Any], method: str) -> Iterator[str]:
    low, high = next(iter(choices.values()))
    kinds = option.get("type", [])
    if not {"number", "integer"} & set([kinds] if isinstance(kinds, str) else kinds):
        yield f"space.{name}: only a number has a range; give a list of values"
    if method == "grid":
        yield f"space.{name}: a grid needs a list of values; give one, or set method to random or quasi_random"
    if low >= high:
        yield f"space.{name}: the range from {low} to {high} is empty; give the lesser number first"


def _grid_size(space: dict[str, Any]) -> int:
    size = 1
    for choices in space.values():
        size *= len(choices)
    return size


def _points(method: str, count: int, dimensions: int, seed: int) -> list[list[float]]:
    """Points of the unit cube (count, dimensions); more of them begin with the same ones."""
    if method == "random":
        import numpy as np

        return np.random.default_rng(seed).random((count, dimensions)).tolist()
    from scipy.stats.qmc import Sobol

    return Sobol(dimensions, scramble=True, rng=seed).random_base2(ceil(log2(count)))[:count].tolist()


def _value(choices: list[Any] | dict[str, list[float]], whole: bool, share: float) -> Any:
    """The value that lies at a share, in [0, 1), of a list or a range, to 6 digits: the same on every machine."""
    if isinstance(choices, list):
        return choices[floor(share * len(choices))]
    ((kind, (low, high)),) = choices.items()
    if whole and kind == "range":
        return floor(low + share * (high - low + 1))
    value = low * (high / low) ** share if kind == "log" else low + share * (high - low)
    return round(value) if whole else float(f"{value:.6g}")


def _is_whole(option: dict[str, Any] | None) -> bool:
    kinds = (option or {}).get("type", [])
    return "integer" in ([kinds] if isinstance(kinds, str) else kinds)
