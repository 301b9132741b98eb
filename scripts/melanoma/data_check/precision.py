"""The precision of an AUROC that can be expected of a test set, before anything is trained."""

import math
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
import pandas as pd

# Correlation of the scores of two images of one patient and class; the drawn lesions of the demo study have it, too.
WITHIN_PATIENT = 0.2
# Widths of the intervals that Riley et al. aim at: of the AUROC, of observed / expected at 1, and of the slope at 1.
AUROC_WIDTH, RATIO_WIDTH, SLOPE_WIDTH = 0.1, 0.2, 0.4
NORMAL_975 = 1.959964


def half_width(test: pd.DataFrame, auroc: float, correlation: float = WITHIN_PATIENT) -> float:
    """Return the expected half-width of the 95 % confidence interval of `auroc`; NaN if the test set lacks a class.

    `test` has patient and target, 0 or 1. The standard error is that of Hanley and McNeil (1982) for the effective
    numbers of melanomas and benign images. The effective number is the number divided by the design effect of several
    images of a patient, 1 + (m - 1) * correlation, where m is the mean, over the images, of the images that their
    patient has in that class.
    """
    melanomas, benign = (_effective_number(test["patient"][test["target"] == target], correlation) for target in (1, 0))
    if not melanomas or not benign:
        return math.nan
    both_melanomas = auroc / (2 - auroc)  # probability that two melanomas score higher than one benign image
    both_benign = 2 * auroc**2 / (1 + auroc)
    variance = auroc * (1 - auroc) + (melanomas - 1) * (both_melanomas - auroc**2)
    variance += (benign - 1) * (both_benign - auroc**2)
    return NORMAL_975 * math.sqrt(max(variance, 0) / (melanomas * benign))


class RequiredImages(NamedTuple):
    """The least number of independent images for each of the criteria of Riley et al."""

    auroc: int
    observed_expected: int
    calibration_slope: int


def required_images(prevalence: float, auroc: float) -> RequiredImages:
    """Return how many images a test set needs (Riley et al., Statistics in Medicine 40:4230, 2021).

    The 95 % confidence intervals are then as wide as `AUROC_WIDTH`, `RATIO_WIDTH` and `SLOPE_WIDTH` say. For the slope,
    the model is taken to be calibrated, with normal log-odds of equal variance in both classes that have this `auroc`.
    """
    errors = [width / (2 * NORMAL_975) for width in (AUROC_WIDTH, RATIO_WIDTH, SLOPE_WIDTH)]
    mixed = prevalence * (1 - prevalence)
    # Newcombe's variance of an AUROC: a n^2 - k n / 2 - (1 - k) = 0.
    k = (1 - auroc) / (2 - auroc) + auroc / (1 + auroc)
    a = errors[0] ** 2 * mixed / (auroc * (1 - auroc))
    ranking = (k / 2 + math.sqrt(k**2 / 4 + 4 * a * (1 - k))) / (2 * a)
    ratio = (1 - prevalence) / (prevalence * errors[1] ** 2)
    distance = math.sqrt(2) * NormalDist().inv_cdf(auroc)
    center = math.log(prevalence / (1 - prevalence))
    x = np.linspace(-8, 8, 4001)
    density = np.exp(-(x**2) / 2) / np.exp(-(x**2) / 2).sum()
    information = np.zeros(3)  # means of p (1 - p), x p (1 - p) and x^2 p (1 - p) over the log-odds x
    for share, side in ((prevalence, 1), (1 - prevalence, -1)):
        value = center + side * distance**2 / 2 + distance * x
        risk = 1 / (1 + np.exp(-value))
        weight = share * density * risk * (1 - risk)
        information += [weight.sum(), (weight * value).sum(), (weight * value**2).sum()]
    plain, crossed, squared = information
    slope = plain / (errors[2] ** 2 * (plain * squared - crossed**2))
    return RequiredImages(*(math.ceil(number) for number in (ranking, ratio, slope)))


def effective_images(test: pd.DataFrame, correlation: float = WITHIN_PATIENT) -> float:
    """Return how many independent images the images of `test` are worth (see `half_width`)."""
    return sum(_effective_number(test["patient"][test["target"] == target], correlation) for target in (0, 1))


def _effective_number(patients: pd.Series, correlation: float) -> float:
    images = patients.value_counts()
    count = float(images.sum())
    return count / (1 + ((images**2).sum() / count - 1) * correlation) if count else 0.0
