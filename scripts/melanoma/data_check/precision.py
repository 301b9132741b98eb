"""The precision of an AUROC that can be expected of a test set, before anything is trained."""

import math

import pandas as pd

# Correlation of the scores of two images of one patient and class; the drawn lesions of the demo study have it, too.
WITHIN_PATIENT = 0.2
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


def _effective_number(patients: pd.Series, correlation: float) -> float:
    images = patients.value_counts()
    count = float(images.sum())
    return count / (1 + ((images**2).sum() / count - 1) * correlation) if count else 0.0
