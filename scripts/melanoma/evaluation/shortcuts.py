"""Shortcut (acquisition-bias) analysis: what in a model's AUROC comes from how images were taken, and of whom.

In the archives the size of a file, the number of a patient's images, age, sex and site tell much about the label, and a
model may read some of that off the pixels without a look at the lesion. Here is measured what is reached without a
pixel; what is left among images of one size and of one patient; how the AUROC differs between groups; and how much of
a score can be told from size and number of images alone.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from melanoma.config.networks import GradientBoosting
from melanoma.config.recipe import Recipe
from melanoma.evaluation.evaluate import Settings, cohorts, count_images, resampled
from melanoma.fusion.select_model import Area
from melanoma.models.tabular import boosting_parameters, out_of_fold_and_test
from melanoma.predictions.patient_context import images_per_patient
from melanoma.stats.bootstrap import estimate
from melanoma.stats.calibration import patient_folds
from melanoma.stats.within import RSquared, WithinPatient, WithinStrata

ACQUISITION = ("images_per_patient", "width", "height")
BASELINES = {
    "age, sex and site": ["age", "sex", "site"],
    "and images per patient": ["age", "sex", "site", "images_per_patient"],
    "and image size": ["age", "sex", "site", "images_per_patient", "size"],
}
LEAF_SAMPLES, LEAF_SHARE = 50, 0.1  # the least of a leaf, but no more than this share: few could not be divided
AGES = {"under 30": (0, 30), "30 to 44": (30, 45), "45 to 59": (45, 60), "60 to 74": (60, 75), "75 and over": (75, 121)}
SIZES_SHOWN = 6  # the commonest; all others are one group
FOLDS = 5  # of patients, in which a score is predicted from acquisition


def find_shortcuts(tables: Mapping[str, pd.DataFrame], settings: Settings) -> dict[str, Any]:
    """Analyze models by their labeled predictions of one part, and return {models, subgroups}.

    A table has image, patient, target, probability, age, sex, site, source, width and height (0 where unknown). Of each
    model: auroc; within_size and within_patient (auroc, pairs; for the patient first, chance and ranked, see
    `WithinPatient`), null where sizes or patients are unknown; r2, the share of the variance of the score's rank
    that acquisition explains (see `acquisition_score`), and adjusted_auroc, the AUROC of what that leaves of it.
    subgroups: by kind and group n, melanomas, patients and auroc by model. Every metric is {value, low, high}; an AUROC
    without both classes is null.
    """
    models: dict[str, Any] = {}
    groups: dict[str, dict[str, Any]] = {}
    for cohort in cohorts(tables):
        models |= _analyze(cohort, settings)
        for kind, levels in subgroups(next(iter(cohort.values()))).items():
            for level, members in levels.items():
                own = {name: table[members] for name, table in cohort.items()}
                counted = count_images(next(iter(own.values())))
                told = groups.setdefault(kind, {}).setdefault(level, counted | {"auroc": {}})
                told["auroc"] |= areas(own, settings)
    return {"models": {name: models[name] for name in tables}, "subgroups": groups}


def areas(tables: Mapping[str, pd.DataFrame], settings: Settings) -> dict[str, Any]:
    """Return each model's AUROC as {value, low, high}; the tables are of the same images."""
    first = next(iter(tables.values()))
    measures = {name: Area(*_pair(table)) for name, table in tables.items()}
    estimated = estimate(measures, _pair(first)[0], resampled(first)[1], **settings.resampling)
    return {name: metrics["auroc"].bounds for name, metrics in estimated.items()}


def boosting(images: int) -> GradientBoosting:
    """Return the settings of gradient boosting on so many images."""
    return GradientBoosting(min_samples_leaf=min(LEAF_SAMPLES, max(2, int(LEAF_SHARE * images))))


def baselines(
    train: pd.DataFrame, test: pd.DataFrame, folds: Sequence[int], test_by: str, seed: int
) -> dict[str, pd.DataFrame]:
    """Return predictions, as `tabular.out_of_fold_and_test`, by gradient boosting of what is known without a pixel."""
    sized = bool((train["width"] > 0).any())
    recipe = Recipe(network="gradient_boosting", gradient_boosting=boosting(len(train)), seed=seed)
    return {
        name: out_of_fold_and_test(
            recipe.model_copy(update={"inputs": inputs}), train, test, folds, test_by, threads=1
        )[0]
        for name, inputs in BASELINES.items()
        if sized or "size" not in inputs
    }


def subgroups(table: pd.DataFrame) -> dict[str, dict[str, NDArray[np.bool_]]]:
    """Return the members of each group, bool (n,), by kind: source, sex, age, site and size; missing is a group too."""
    kinds = {kind: table[kind].fillna("missing").astype(str) for kind in ("source", "sex", "site")}
    age = pd.Series("missing", index=table.index)
    for name, (low, high) in AGES.items():
        age = age.mask((table["age"] >= low) & (table["age"] < high), name)
    size = _sizes(table)
    common = size.value_counts().index[:SIZES_SHOWN]
    kinds |= {"age": age, "size": size.where(size.isin(common), "other")}
    order = {"age": [*AGES, "missing"]}
    found = {}
    for kind, values in kinds.items():
        levels = [level for level in order.get(kind, sorted(values.unique())) if (values == level).any()]
        found[kind] = {level: (values == level).to_numpy() for level in levels}
    return found


def acquisition_score(table: pd.DataFrame, score: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """Predict each image's score from its size and its patient's number of images, by gradient boosting.

    An image's prediction comes from a fit to other patients. No label is read. Float64 (n,).
    """
    from sklearn.ensemble import HistGradientBoostingRegressor

    patient = resampled(table)[1]
    known = table.assign(images_per_patient=images_per_patient(patient))
    read = np.log1p(known[list(ACQUISITION)].to_numpy(float))
    fold = patient_folds(np.zeros(len(table), int), patient, FOLDS, seed)
    predicted = np.full(len(table), score.mean())
    for number in np.unique(fold) if fold.max() else []:
        rows = fold == number
        model = HistGradientBoostingRegressor(**boosting_parameters(boosting(len(table)), seed))
        predicted[rows] = model.fit(read[~rows], score[~rows]).predict(read[rows])
    return predicted


def _analyze(tables: Mapping[str, pd.DataFrame], settings: Settings) -> dict[str, Any]:
    first = next(iter(tables.values()))
    target, (clustered, clusters) = _pair(first)[0], resampled(first)
    sized = bool((first["width"] > 0).any())
    measures: dict[tuple[str, str], Any] = {}
    for name, table in tables.items():
        score = table["probability"].rank(pct=True).to_numpy()
        predicted = acquisition_score(table, score, settings.seed)
        measures[name, "plain"] = Area(target, score)
        measures[name, "acquisition"] = RSquared(score, predicted)
        measures[name, "adjusted_auroc"] = Area(target, score - predicted)
        if sized:
            measures[name, "within_size"] = WithinStrata(target, score, _sizes(first).to_numpy(str))
        if clustered == "patient":
            measures[name, "within_patient"] = WithinPatient(target, score, clusters)
    estimated = estimate(measures, target, clusters, **settings.resampling)

    def told(name: str, kind: str) -> dict[str, Any] | None:
        if (name, kind) not in measures:
            return None
        found = {metric: made.bounds for metric, made in estimated[name, kind].items()}
        return found | measures[name, kind].counts

    return {
        name: {
            "auroc": estimated[name, "plain"]["auroc"].bounds,
            "within_size": told(name, "within_size"),
            "within_patient": told(name, "within_patient"),
            "r2": estimated[name, "acquisition"]["r2"].bounds,
            "adjusted_auroc": estimated[name, "adjusted_auroc"]["auroc"].bounds,
        }
        for name in tables
    }


def _sizes(table: pd.DataFrame) -> pd.Series:
    text = table["width"].astype(int).astype(str) + " x " + table["height"].astype(int).astype(str)
    return text.where(table["width"] > 0, "unknown")


def _pair(table: pd.DataFrame) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    return table["target"].to_numpy(np.int64), table["probability"].to_numpy(np.float64)
