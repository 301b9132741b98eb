"""The training images of an epoch, their order, and the prevalence of melanoma that a model learns from them."""

import warnings
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from melanoma.common.errors import InputError
from melanoma.common.rng import derived_seed
from melanoma.config.optimization import Loss, Sampling
from melanoma.config.recipe import Recipe


def epoch_order(targets: NDArray[np.integer], sampling: Sampling, seed: int, epoch: int) -> NDArray[np.int64]:
    """Return the indices of one epoch's images in their order. It depends on the arguments alone.

    none: each image once. oversample: every image, and random repeats of the rarer class until it has `ratio` times
    as many images as the other, by RandomOverSampler of imbalanced-learn; a rarer class with more images stays as it
    is. balanced: as many images as there are, drawn with replacement, each of either class with the same probability.
    bootstrap: as many images as there are, drawn with replacement, each with the same probability. `targets` (n,) are 0
    and 1 and have both.
    """
    indices, draws = np.arange(len(targets)), derived_seed(seed, epoch, 0)
    match sampling.name:
        case "oversample":
            indices = _oversampled(indices, targets, sampling.ratio, draws)
        case "balanced":
            indices = _balanced(targets, np.random.default_rng(draws))
        case "bootstrap":
            indices = np.random.default_rng(draws).integers(0, len(targets), len(targets))
    return np.random.default_rng(derived_seed(seed, epoch, 1)).permutation(indices)


def epoch_counts(targets: NDArray[np.integer], recipe: Recipe) -> dict[str, int]:
    """Return the numbers of images of the first epoch: benign and melanoma, and of their repeats, NAME_again."""
    if recipe.sampling.name == "oversample":  # Its counts need no draw, and so no import of imbalanced-learn.
        benign, melanoma = np.bincount(targets, minlength=2).tolist()
        missing = max(0, int(recipe.sampling.ratio * max(benign, melanoma) - min(benign, melanoma)))
        return {
            "benign": benign,
            "benign_again": missing if benign < melanoma else 0,
            "melanoma": melanoma,
            "melanoma_again": missing if melanoma <= benign else 0,
        }
    order = epoch_order(targets, recipe.sampling, recipe.seed, 0)
    counts = {}
    for name, label in (("benign", 0), ("melanoma", 1)):
        shown = order[targets[order] == label]
        counts[name] = len(np.unique(shown))
        counts[f"{name}_again"] = len(shown) - counts[name]
    return counts


def trained_prevalence(targets: NDArray[np.integer], sampling: Sampling, loss: Loss) -> float:
    """Return the prevalence of melanoma that a model learns, from sampling and the weights of the loss together.

    `targets` (n,) of 0 and 1, with both, are the labels of the training images. A positive weight multiplies the odds.
    The weights of the focal loss change with the model and have no such closed form, so only sampling counts there.
    Label smoothing moves probabilities towards one half, which is no change of prevalence.
    """
    benign, melanoma = np.bincount(targets, minlength=2).astype(float)
    match sampling.name:
        case "oversample":
            least = sampling.ratio * max(benign, melanoma)
            odds = max(melanoma, least) / max(benign, least)
        case "balanced":
            odds = 1.0
        case "none" | "bootstrap":
            odds = melanoma / benign
    if loss.name == "weighted_bce":
        odds *= positive_weight(loss, targets)
    return float(odds / (1 + odds))


def positive_weight(loss: Loss, targets: NDArray[np.integer]) -> float:
    """Return the weight of a melanoma in weighted_bce: the given one, or benign images for each melanoma."""
    if loss.positive_weight is not None:
        return loss.positive_weight
    benign, melanoma = np.bincount(targets, minlength=2)
    if melanoma == 0:
        raise InputError(
            f"loss.positive_weight: null is the number of benign images for each melanoma, but none of the {benign}"
            " training images is a melanoma; give a number, or add melanomas"
        )
    return float(benign / melanoma)


def batch_slices(length: int, batch_size: int) -> list[slice]:
    """Cut an epoch of `length` images into batches of at most `batch_size`, whose sizes differ by at most one.

    So there is no last batch of a single image, for which batch norm is not defined.
    """
    count = -(-length // batch_size)
    bounds = np.linspace(0, length, count + 1).round().astype(int)
    return [slice(int(start), int(stop)) for start, stop in pairwise(bounds)]


def _balanced(targets: NDArray[np.integer], generator: np.random.Generator) -> NDArray[np.int64]:
    classes = generator.integers(0, 2, len(targets))
    result = np.empty(len(targets), np.int64)
    for label in (0, 1):
        members = classes == label
        result[members] = generator.choice(np.flatnonzero(targets == label), int(members.sum()))
    return result


def _oversampled(
    indices: NDArray[np.int64], targets: NDArray[np.integer], ratio: float, seed: int
) -> NDArray[np.int64]:
    counts = np.bincount(targets, minlength=2)
    if ratio * counts.max() - counts.min() < 1:
        return indices
    from imblearn.over_sampling import RandomOverSampler  # Its import takes seconds.

    sampler = RandomOverSampler(sampling_strategy=ratio, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        sampled: NDArray[np.int64] = sampler.fit_resample(indices[:, None], targets)[0][:, 0]
    return sampled


def check_batch_size(recipe: Recipe, targets: NDArray[np.int64]) -> None:
    """Raise InputError if an epoch has fewer images than a batch."""
    images = len(epoch_order(targets, recipe.sampling, recipe.seed, 0))
    if recipe.batch_size > images:
        raise InputError(
            f"The recipe's batch_size is {recipe.batch_size}, and an epoch has {images} images, from {len(targets)}"
            f" training images by sampling {recipe.sampling.name}: set batch_size to {images} or less"
        )
