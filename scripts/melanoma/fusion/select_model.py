"""The selected model: the best single model, unless a fusion is significantly better out of fold."""

from typing import TypedDict

import numpy as np
import pandas as pd

from melanoma.common.errors import InputError
from melanoma.config.study import Fuse
from melanoma.data.units import count_units, unit
from melanoma.stats.bootstrap import Resampling, independent_clusters
from melanoma.stats.comparison import common_images, holm, p_greater, paired_test
from melanoma.stats.metrics import Auroc, measured


class FusionTest(TypedDict):
    """The one-sided test of a fusion against the best single model."""

    difference: float  # AUROC of the fusion minus that of the best single model
    p: float
    p_holm: float  # corrected for the number of fusions
    adopted: bool  # p_holm is below the significance level


class Selection(TypedDict):
    """The content of selected_model.json. AUROCs are out of fold."""

    selected_model: str
    best_single: str
    adopted: bool  # whether a fusion is the selected model
    significance_level: float
    n: int  # images that all models predict
    melanomas: int
    unit: str  # what the test is over: patient; lesion or image if these stand in for unknown patients
    units: int
    auroc: dict[str, float]  # by model
    tests: dict[str, FusionTest]  # by fusion
    tuning_fold: int | None  # the fold that is left out


def select_model(
    singles: dict[str, pd.DataFrame],
    fusions: dict[str, pd.DataFrame],
    settings: Fuse,
    tuning_fold: int | None = None,
) -> Selection:
    """Select the model by labeled out-of-fold predictions.

    Each table has image, patient (null if unknown), fold, probability and target. The images of `tuning_fold` are left
    out: trials were scored on them, so the results of tuned models there are too good.

    The single model with the highest AUROC is the best single model. Each fusion is tested against it on the same
    images: one-sided, by the difference of the two AUROCs in standard deviations over bootstrap replicates of patients.
    Of the fusions whose p, corrected by Holm's method, is below `settings.significance_level`, the one with the highest
    AUROC is selected. The best single model is selected by its AUROC, so this AUROC is a little too high, and the test
    a little too strict.

    Raises InputError if the images that all models predict are of one class.
    """
    tables = common_images(singles | fusions)
    if tuning_fold is not None:
        tables = {name: table[table["fold"] != tuning_fold] for name, table in tables.items()}
    first = next(iter(tables.values()))
    target = first["target"].to_numpy(np.int64)
    if len(np.unique(target)) < 2:
        raise InputError(
            "models cannot be compared: the images with out-of-fold predictions of all models are of one class; run the"
            " same folds (split.run_folds) for all models"
        )
    known = bool(first["patient"].notna().all())
    measures = {name: Auroc(target, table["probability"].to_numpy()) for name, table in tables.items()}
    areas = {name: float(measured(measure)["auroc"]) for name, measure in measures.items()}
    best = max(singles, key=areas.__getitem__)
    clusters = first["patient" if known else "image"].to_numpy(str)
    replicated = Resampling(measures, clusters).replicate(settings.replicates, settings.seed) if fusions else {}
    n_clusters = independent_clusters(target, clusters)
    differences = {name: areas[name] - areas[best] for name in fusions}
    p = [
        p_greater(paired_test(difference, replicated[name]["auroc"] - replicated[best]["auroc"], n_clusters))
        for name, difference in differences.items()
    ]
    tests: dict[str, FusionTest] = {
        name: {
            "difference": differences[name],
            "p": one,
            "p_holm": corrected,
            "adopted": corrected < settings.significance_level,
        }
        for name, one, corrected in zip(fusions, p, holm(p).tolist(), strict=True)
    }
    adopted = [name for name, test in tests.items() if test["adopted"]]
    return {
        "selected_model": max(adopted, key=areas.__getitem__, default=best),
        "best_single": best,
        "adopted": bool(adopted),
        "significance_level": settings.significance_level,
        "n": len(first),
        "melanomas": int(target.sum()),
        "unit": unit(first),
        "units": count_units(first),
        "auroc": areas,
        "tests": tests,
        "tuning_fold": tuning_fold,
    }
