"""Which training images an epoch shows, in which order, and what prevalence a model that saw them takes for true."""

import warnings
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from melanoma.common.errors import InputError
from melanoma.common.rng import derived_seed


def epoch_order(targets: NDArray[np.integer], settings: dict[str, Any], seed: int, epoch: int) -> NDArray[np.int64]:
    """Return the indices of one epoch's images in their order; a function of the arguments alone.

    none: each image once. oversample: every image, and random repeats of the rarer class until it has `ratio` times
    as many as the other, by imbalanced-learn's RandomOverSampler; a rarer class that has more already stays as it is.
    balanced: as many images as there are, drawn with replacement, each of either class with the same probability.
    `targets` (n,) are 0 and 1 and have both.
    """
    indices, draws = np.arange(len(targets)), derived_seed(seed, epoch, 0)
    match settings["name"]:
        case "oversample":
            indices = _oversampled(indices, targets, settings["ratio"], draws)
        case "balanced":
            generator = np.random.default_rng(draws)
            indices = _drawn(targets, generator.integers(0, 2, len(targets)), generator)
    return np.random.default_rng(derived_seed(seed, epoch, 1)).permutation(indices)


def epoch_counts(targets: NDArray[np.integer], recipe: dict[str, Any]) -> dict[str, int]:
    """Return how many images of each class the first epoch of a recipe shows, the first time and again."""
    order = epoch_order(targets, recipe["sampling"], recipe["seed"], 0)
    counts = {}
    for name, label in (("benign", 0), ("melanoma", 1)):
        shown = order[targets[order] == label]
        counts[name] = len(np.unique(shown))
        counts[f"{name}_again"] = len(shown) - counts[name]
    return counts


def trained_prevalence(targets: NDArray[np.integer], sampling: dict[str, Any], loss: dict[str, Any]) -> float:
    """Return the prevalence of melanoma that a model is trained on, by sampling and by the loss's weights together.

    `targets` (n,) of 0 and 1, with both, are the labels of the training images. A positive weight of w counts as w
    times the odds. The focal loss has no such closed form, since its weights change with the model: there, sampling
    alone counts. Label smoothing moves probabilities towards one half, which is no change of prevalence.
    """
    benign, melanoma = np.bincount(targets, minlength=2).astype(float)
    match sampling["name"]:
        case "oversample":
            least = sampling["ratio"] * max(benign, melanoma)
            odds = max(melanoma, least) / max(benign, least)
        case "balanced":
            odds = 1.0
        case _:
            odds = melanoma / benign
    if loss["name"] == "weighted_bce":
        odds *= positive_weight(loss, targets)
    return float(odds / (1 + odds))


def positive_weight(loss: dict[str, Any], targets: NDArray[np.integer]) -> float:
    """Return the weight of a melanoma in weighted_bce: as given, or benign images per melanoma in `targets`."""
    if loss["positive_weight"] is not None:
        return float(loss["positive_weight"])
    benign, melanoma = np.bincount(targets, minlength=2)
    if melanoma == 0:
        raise InputError(
            f"loss.positive_weight is to follow from the training images, but none of the {benign} is a melanoma; give"
            " a number, or add melanomas"
        )
    return float(benign / melanoma)


def batch_slices(length: int, batch_size: int) -> list[slice]:
    """Cut an epoch of `length` images into batches of at most `batch_size`, whose sizes differ by one at most.

    A last batch of a single image, for which batch norm is not defined, does not arise.
    """
    count = -(-length // batch_size)
    bounds = np.linspace(0, length, count + 1).round().astype(int)
    return [slice(int(start), int(stop)) for start, stop in pairwise(bounds)]


def _drawn(
    targets: NDArray[np.integer], classes: NDArray[np.integer], generator: np.random.Generator
) -> NDArray[np.int64]:
    """Return a random image of each of `classes`, with replacement."""
    drawn = np.empty(len(classes), np.int64)
    for label in (0, 1):
        wanted = classes == label
        drawn[wanted] = generator.choice(np.flatnonzero(targets == label), int(wanted.sum()))
    return drawn


def _oversampled(
    indices: NDArray[np.int64], targets: NDArray[np.integer], ratio: float, seed: int
) -> NDArray[np.int64]:
    counts = np.bincount(targets, minlength=2)
    if ratio * counts.max() - counts.min() < 1:
        return indices
    from imblearn.over_sampling import RandomOverSampler  # takes seconds to import

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        sampled, _ = RandomOverSampler(sampling_strategy=ratio, random_state=seed).fit_resample(
            indices[:, None], targets
        )
    return sampled[:, 0]
