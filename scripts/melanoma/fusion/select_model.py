"""Which model is the selected model: the best single one, unless a fusion is shown to be better, out of fold."""

from typing import Any

import numpy as np
import pandas as pd

from melanoma.common.errors import InputError
from melanoma.stats.bootstrap import Resampling, independent_clusters
from melanoma.stats.comparison import common_images, holm, p_greater, paired_test
from melanoma.stats.metrics import Ranking, auroc_of, measured


class Area(Ranking):
    """The AUROC alone."""

    def metrics(self, sums: np.ndarray) -> dict[str, np.ndarray]:
        """Return auroc."""
        return {"auroc": auroc_of(self.steps(sums))}


def select_model(
    singles: dict[str, pd.DataFrame],
    fusions: dict[str, pd.DataFrame],
    significance_level: float,
    replicates: int,
    seed: int,
) -> dict[str, Any]:
    """Choose the selected model on labeled out-of-fold predictions, and return selected_model.json.

    Each table has image, patient (null if unknown) and target. Of the single models the one with the highest AUROC is
    the best. Every fusion is tested against it, one-sided and on the same images, by the difference of the two AUROCs
    over its standard deviation in bootstrap replicates of patients. A fusion is adopted where p, corrected by Holm's
    method for the number of fusions, is below `significance_level`; of several the one with the highest
    AUROC. The best single model was chosen as the best, so its AUROC is a little too high, and the test a little
    too strict.

    Returns selected_model, best_single, adopted (bool), significance_level, n, melanomas, patients (null if unknown),
    auroc (by model) and tests: for each fusion difference, p, p_holm and adopted. Raises InputError where the images
    that all of them predicted are not of both classes.
    """
    tables = common_images(singles | fusions)
    first = next(iter(tables.values()))
    target = first["target"].to_numpy(np.int64)
    if len(np.unique(target)) < 2:
        raise InputError("the images that all models predicted out of fold are not of both classes: run the same folds")
    known = bool(first["patient"].notna().all())
    measures = {name: Area(target, table["probability"].to_numpy()) for name, table in tables.items()}
    areas = {name: float(measured(measure)["auroc"]) for name, measure in measures.items()}
    best = max(singles, key=areas.__getitem__)
    clusters = first["patient" if known else "image"].to_numpy(str)
    replicated = Resampling(measures, clusters).replicate(replicates, seed) if fusions else {}
    n_clusters = independent_clusters(target, clusters)
    p = [
        p_greater(
            paired_test(areas[name] - areas[best], replicated[name]["auroc"] - replicated[best]["auroc"], n_clusters)
        )
        for name in fusions
    ]
    corrected = holm(p) if fusions else []
    tests = {
        name: {
            "difference": areas[name] - areas[best],
            "p": one,
            "p_holm": float(all_of_them),
            "adopted": bool(all_of_them < significance_level),
        }
        for name, one, all_of_them in zip(fusions, p, corrected, strict=True)
    }
    adopted = [name for name, test in tests.items() if test["adopted"]]
    return {
        "selected_model": max(adopted, key=areas.__getitem__, default=best),
        "best_single": best,
        "adopted": bool(adopted),
        "significance_level": significance_level,
        "n": len(first),
        "melanomas": int(target.sum()),
        "patients": first["patient"].nunique() if known else None,
        "auroc": areas,
        "tests": tests,
    }
