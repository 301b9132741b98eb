"""Shortcut (acquisition-bias) analysis: how much of a model's AUROC comes from how and of whom images were taken.

In the archives, image size, the number of a patient's images, age, sex and site predict the label, and a model may
exploit this without a look at the lesion. The analysis gives the AUROC of models without pixels, of images of the same
size, of images of the same patient, and of subgroups, and how well size and number of images predict a score.
"""

from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from melanoma.config.networks import GradientBoosting
from melanoma.config.recipe import Recipe
from melanoma.config.study import Evaluate
from melanoma.data.units import unit
from melanoma.evaluation.cohorts import clusters_drawn, cohorts, count_images, resampling
from melanoma.evaluation.evaluate import comparisons
from melanoma.evaluation.results import Difference, ModelShortcuts, Shortcuts, Subgroup, WithinPatients, WithinSize
from melanoma.evaluation.subgroups import sizes, subgroups
from melanoma.models.tabular import boosting_parameters, out_of_fold_and_test
from melanoma.predictions.patient_context import images_per_patient
from melanoma.stats.bootstrap import Estimate, Interval, estimate
from melanoma.stats.calibration import patient_folds
from melanoma.stats.metrics import Auroc, Floats, Measure
from melanoma.stats.within import RSquared, WithinPatient, WithinStrata

WITHOUT_PIXELS = "without pixels"  # no model has a name with a space
ACQUISITION = ("images_per_patient", "width", "height")
LEAF_SAMPLES, LEAF_SHARE = 50, 0.1  # least images of a leaf, and at most this share, so that few images are divided
Key = tuple[str, str]  # a model and what is measured of it
FOLDS = 5  # of patients, for the prediction of a score from acquisition


def find_shortcuts(tables: Mapping[str, pd.DataFrame], settings: Evaluate) -> Shortcuts:
    """Analyze models by their labeled predictions of one part; the result has no baselines.

    A table has image, patient, target, probability, age, sex, site, source, width and height (0 if unknown).
    """
    models: dict[str, ModelShortcuts] = {}
    groups: dict[str, dict[str, Subgroup]] = {}
    for cohort in cohorts(tables):
        models |= _analyze(cohort, settings)
        for kind, levels in subgroups(next(iter(cohort.values()))).items():
            for level, members in levels.items():
                rows = {name: table[members] for name, table in cohort.items()}
                empty: Subgroup = {**count_images(next(iter(rows.values()))), "auroc": {}}
                groups.setdefault(kind, {}).setdefault(level, empty)["auroc"].update(areas(rows, settings))
    return {"models": {name: models[name] for name in tables}, "subgroups": groups}


def areas(tables: Mapping[str, pd.DataFrame], settings: Evaluate) -> dict[str, Interval]:
    """Return the AUROC of each model, NaN for a single class; the tables are of the same images."""
    if not tables:
        return {}
    first = next(iter(tables.values()))
    measures = {name: Auroc(*_pair(table)) for name, table in tables.items()}
    estimated = estimate(measures, _pair(first)[0], clusters_drawn(first)[1], **resampling(settings))
    return {name: metrics["auroc"].bounds for name, metrics in estimated.items()}


def differences(
    tables: Mapping[str, pd.DataFrame], baselines: Mapping[str, pd.DataFrame], settings: Evaluate
) -> dict[str, Difference]:
    """Return the AUROC of each model minus that of the last baseline, which reads most, on the images of both.

    There is no result without a baseline, or if the images are of one class.
    """
    if not baselines:
        return {}
    *_, last = baselines.values()
    compared = [comparisons({name: table, WITHOUT_PIXELS: last}, settings)["pairs"] for name, table in tables.items()]
    return {
        pair["first"]: {"difference": pair["difference"], "p": pair["bootstrap"]["p"]}
        for (pair,) in filter(None, compared)
    }


def boosting(images: int) -> GradientBoosting:
    """Return the settings of gradient boosting on so many images."""
    return GradientBoosting(min_samples_leaf=min(LEAF_SAMPLES, max(2, int(LEAF_SHARE * images))))


def baselines(
    train: pd.DataFrame, test: pd.DataFrame, folds: Sequence[int], test_by: str, seed: int
) -> dict[str, pd.DataFrame]:
    """Return predictions, as `tabular.out_of_fold_and_test`, of gradient boosting on inputs that are no pixels.

    Without patients and lesions there is one image of each, so their number is no input. Nor is a column that is
    missing in all training rows. Without any input there is no baseline.
    """
    owner = unit(pd.concat([train, test]))
    counted = {f"and images per {owner}": ["images_per_patient"]} if owner != "image" else {}
    sized = bool((train["width"] > 0).any())
    recipe = Recipe(network="gradient_boosting", gradient_boosting=boosting(len(train)), seed=seed)
    known = [name for name in ("age", "sex", "site") if train[name].notna().any()]
    own = {" and ".join(filter(None, [", ".join(known[:-1]), *known[-1:]])): known} if known else {}
    added = own | counted | ({"and image size": ["size"]} if sized else {})
    predictions, inputs = dict[str, pd.DataFrame](), list[str]()
    for name, more in added.items():
        inputs += more
        with_inputs = recipe.model_copy(update={"inputs": [*inputs]})
        name = name if predictions else name.removeprefix("and ")
        predictions[name] = out_of_fold_and_test(with_inputs, train, test, folds, test_by, threads=1)[0]
    return predictions


def acquisition_score(table: pd.DataFrame, score: Floats, seed: int) -> Floats:
    """Return the scores, float64 (n,), that gradient boosting predicts from image size and images per patient.

    Each prediction comes from a fit to other patients. No label is read.
    """
    from sklearn.ensemble import HistGradientBoostingRegressor

    patient = clusters_drawn(table)[1]
    counted = table.assign(images_per_patient=images_per_patient(patient))
    inputs = np.log1p(counted[list(ACQUISITION)].to_numpy(float))
    fold = patient_folds(np.zeros(len(table), int), patient, FOLDS, seed)
    predicted = np.full(len(table), score.mean())
    for number in np.unique(fold) if fold.max() else []:
        rows = fold == number
        model = HistGradientBoostingRegressor(**boosting_parameters(boosting(len(table)), seed))
        predicted[rows] = model.fit(inputs[~rows], score[~rows]).predict(inputs[rows])
    return predicted


def _analyze(tables: Mapping[str, pd.DataFrame], settings: Evaluate) -> dict[str, ModelShortcuts]:
    """Analyze models that predict the same images."""
    first = next(iter(tables.values()))
    target, (drawn, clusters) = _pair(first)[0], clusters_drawn(first)
    sized = bool((first["width"] > 0).any())
    measures: dict[Key, Measure] = {}
    for name, table in tables.items():
        score = table["probability"].rank(pct=True).to_numpy()
        predicted = acquisition_score(table, score, settings.seed)
        measures[name, "auroc"] = Auroc(target, score)
        measures[name, "r2"] = RSquared(score, predicted)
        measures[name, "adjusted_auroc"] = Auroc(target, score - predicted)
        if sized:
            measures[name, "within_size"] = WithinStrata(target, score, sizes(first).to_numpy(str))
        if drawn == "patient":
            measures[name, "within_patient"] = WithinPatient(target, score, clusters)
    estimates = estimate(measures, target, clusters, **resampling(settings))
    return {
        name: {
            "auroc": estimates[name, "auroc"]["auroc"].bounds,
            "within_size": cast(WithinSize | None, _within(measures, estimates, (name, "within_size"))),
            "within_patient": cast(WithinPatients | None, _within(measures, estimates, (name, "within_patient"))),
            "r2": estimates[name, "r2"]["r2"].bounds,
            "adjusted_auroc": estimates[name, "adjusted_auroc"]["auroc"].bounds,
        }
        for name in tables
    }


def _within(
    measures: Mapping[Key, Measure], estimates: Mapping[Key, Mapping[str, Estimate]], key: Key
) -> dict[str, Interval | int] | None:
    """Return the intervals and counts of a measure; None if it is not among the measures."""
    measure = measures.get(key)
    if not isinstance(measure, WithinStrata | WithinPatient):
        return None
    return {name: metric.bounds for name, metric in estimates[key].items()} | measure.counts


def _pair(table: pd.DataFrame) -> tuple[NDArray[np.int64], Floats]:
    return table["target"].to_numpy(np.int64), table["probability"].to_numpy(np.float64)
