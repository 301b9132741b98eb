"""Endpoints of patients and lesions: what counts in a clinic is whether a patient's melanoma is found at all."""

import numpy as np
import pandas as pd

from melanoma.config.study import Evaluate
from melanoma.data.units import unit
from melanoma.evaluation.cohorts import clusters_drawn, pair, resampling
from melanoma.evaluation.decisions import Decisions
from melanoma.evaluation.results import UnitMetrics
from melanoma.stats.bootstrap import estimate
from melanoma.stats.metrics import Auroc, Measure, Outcomes


def patient_metrics(table: pd.DataFrame, decisions: Decisions, settings: Evaluate) -> UnitMetrics | None:
    """Return the metrics of patients; None if a patient is unknown.

    A patient's probability is the highest of the images. A patient with a melanoma is found if one of the melanomas is
    called melanoma: a benign image that is called so does not count. Any other patient is a false alarm if one of the
    images is called melanoma.
    """
    if unit(table) != "patient":
        return None
    target, probability = pair(table)
    rows = pd.DataFrame({"patient": table["patient"].astype(str), "target": target, "highest": probability})
    sick = rows.groupby("patient")["target"].transform("max")
    rows["found"] = rows["highest"].where(rows["target"] == sick)  # of a patient with a melanoma, melanomas alone
    patients = rows.groupby("patient").max()
    return _metrics(patients.reset_index(), "highest", "found", decisions, settings)


def lesion_metrics(table: pd.DataFrame, decisions: Decisions, settings: Evaluate) -> UnitMetrics | None:
    """Return the metrics of lesions; None unless a lesion has several images.

    A lesion's probability is the mean of its images. An image without a lesion is one of its own.
    """
    if "lesion" not in table or not table["lesion"].dropna().duplicated().any():
        return None
    target, probability = pair(table)
    lesion = table["lesion"].fillna("image " + table["image"]).astype(str)
    columns = {"patient": clusters_drawn(table)[1], "target": target, "mean": probability}
    rows = pd.DataFrame(columns, index=table.index).groupby(lesion)
    lesions = rows.agg({"patient": "first", "target": "max", "mean": "mean"})
    return _metrics(lesions, "mean", "mean", decisions, settings)


def _metrics(units: pd.DataFrame, score: str, called: str, decisions: Decisions, settings: Evaluate) -> UnitMetrics:
    """Return the AUROC of the column `score`, and sensitivity and specificity of `called` at each threshold."""
    target = units["target"].to_numpy(np.int64)
    measures: dict[str, Measure] = {"": Auroc(target, units[score])}
    measures |= {rule: Outcomes(target, units[called], threshold) for rule, threshold in decisions.thresholds.items()}
    estimates = estimate(measures, target, units["patient"], **resampling(settings))
    return {
        "n": len(units),
        "melanomas": int(target.sum()),
        "auroc": estimates[""]["auroc"].bounds,
        "thresholds": {
            rule: {
                "sensitivity": estimates[rule]["sensitivity"].bounds,
                "specificity": estimates[rule]["specificity"].bounds,
            }
            for rule in decisions.thresholds
        },
    }
