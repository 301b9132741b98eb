"""Tuning: the trials of a recipe's search space, which are known before the first job, and the best trial.

The name of a trial is a hash of its values. So the other trials stay if a grid gets a value or a search gets a trial.
"""

import itertools
import json
from collections.abc import Iterator
from copy import deepcopy
from math import ceil, floor, isnan, log2, prod
from typing import Any

from melanoma.common.files import sha256
from melanoma.config.base import Section, members, option_type
from melanoma.config.errors import nearest
from melanoma.config.recipe import Range, Recipe, Tune

MOST_TRIALS = 1000
# Options that cannot be tuned: they change no weights, are no property of a model, or decide which jobs there are.
FIXED = (
    "network", "file", "seed", "seeds", "tune", "tta", "resources", "checkpoint_batches", "checkpoint_minutes",
    "backbone.pretrained", "backbone.weights",
)  # fmt: skip
# The values of a trial, by the dotted names of their options. A value has the type of its option.
Values = dict[str, Any]
SCORES = {"auroc": 1, "average_precision": 1, "loss": -1}


def space_errors(tune: Tune) -> Iterator[str]:
    """Yield the errors of a search space: unknown options, empty ranges, a wrong number of trials."""
    for name, values in tune.space.items():
        option = option_type(Recipe, name)
        if option is None:
            yield f"space: no option {name!r} in a recipe{nearest(name, option_names())}"
        elif _is_fixed(name):
            yield f"space.{name}: is not tuned; give each value a model of its own"
        elif isinstance(values, Range):
            yield from _range_errors(name, values, option, tune.method)
    if tune.method == "grid":
        if tune.trials is not None:
            yield "trials: a grid has all combinations; leave trials out, or set method to random"
        if (count := prod(len(values) for values in tune.space.values() if isinstance(values, tuple))) > MOST_TRIALS:
            yield f"space: the grid has {count} combinations, at most {MOST_TRIALS} are run; set method to random"
    elif tune.trials is None:
        yield f"trials: method {tune.method} needs a number of trials"


def trials(tune: Tune) -> dict[str, Values]:
    """Return the values of each trial by its name. Equal trials are one trial.

    The search space must have no `space_errors`.
    """
    if tune.method == "grid":
        drawn: Any = itertools.product(*tune.space.values())
    else:
        whole = [int in members(option_type(Recipe, name)) for name in tune.space]
        drawn = (
            [_value(*each) for each in zip(tune.space.values(), whole, point, strict=True)]
            for point in _points(tune.method, tune.trials or 0, len(tune.space), tune.seed)
        )
    named = (dict(zip(tune.space, values, strict=True)) for values in drawn)
    return {trial_name(values): values for values in named}


def trial_name(values: Values) -> str:
    """Return the name of the trial with these values: 8 hexadecimal digits."""
    return sha256(json.dumps(values, sort_keys=True).encode())[:8]


def with_values(recipe: Recipe, values: Values) -> Recipe:
    """Return a recipe with the values of a trial and without a search space.

    Raises LookupError if the recipe has no such place.
    """
    changed = recipe.dump() | {"tune": None}
    for name, value in values.items():
        *parents, last = name.split(".")
        place: Any = changed
        for part in parents:
            place = place[int(part)] if isinstance(place, list) else place[part]
        place[int(last) if isinstance(place, list) else last] = deepcopy(value)
    return Recipe.model_validate(changed)


def trial_recipes(recipe: Recipe) -> dict[str, Recipe]:
    """Return the complete recipe of each trial of a recipe's tuning, by the name of the trial."""
    return {} if recipe.tune is None else {n: with_values(recipe, values) for n, values in trials(recipe.tune).items()}


def best_trial(scores: dict[str, float], score: str) -> str:
    """Return the trial with the best score, the first one of several. NaN is worse than every number."""
    sign = SCORES[score]
    return max(scores, key=lambda name: float("-inf") if isnan(scores[name]) else sign * scores[name])


def option_names() -> list[str]:
    """Return the dotted names of all options of a recipe that can be tuned."""

    def below(section: type[Section], prefix: str) -> Iterator[str]:
        for name, field in section.model_fields.items():
            yield f"{prefix}{name}"
            for kind in members(field.annotation):
                if isinstance(kind, type) and issubclass(kind, Section):
                    yield from below(kind, f"{prefix}{name}.")

    return [name for name in below(Recipe, "") if not _is_fixed(name)]


def _is_fixed(name: str) -> bool:
    return any(name == fixed or name.startswith(f"{fixed}.") for fixed in FIXED)


def _range_errors(name: str, values: Range, option: Any, method: str) -> Iterator[str]:
    if (values.range is None) == (values.log is None):
        yield f"space.{name}: give either range or log, not both and not neither"
        return
    low, high = values.ends
    if not {int, float} & set(members(option)):
        yield f"space.{name}: only a number has a range; give a list of values"
    if method == "grid":
        yield f"space.{name}: a grid needs a list of values; give one, or set method to random or quasi_random"
    if low >= high:
        yield f"space.{name}: the range from {low:g} to {high:g} is empty; give the lesser number first"


def _points(method: str, count: int, dimensions: int, seed: int) -> list[list[float]]:
    """Return points of the unit cube, (count, dimensions). A larger count begins with the same points."""
    points: list[list[float]]
    if method == "random":
        import numpy as np

        points = np.random.default_rng(seed).random((count, dimensions)).tolist()
    else:
        from scipy.stats.qmc import Sobol

        points = Sobol(dimensions, scramble=True, rng=seed).random_base2(ceil(log2(count)))[:count].tolist()
    return points


def _value(choices: tuple[Any, ...] | Range, whole: bool, share: float) -> Any:
    """Return the value at a share, in [0, 1), of a list or a range, in 6 digits: the same on every machine."""
    if isinstance(choices, tuple):
        return choices[floor(share * len(choices))]
    low, high = choices.ends
    if whole and choices.range is not None:
        return floor(low + share * (high - low + 1))
    value = low * (high / low) ** share if choices.log is not None else low + share * (high - low)
    return round(value) if whole else float(f"{value:.6g}")
