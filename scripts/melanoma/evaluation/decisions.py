"""Decisions on labeled out-of-fold predictions, which the test only applies: thresholds and a calibrator."""

from dataclasses import dataclass, field

import pandas as pd

from melanoma.config.study import Evaluate
from melanoma.evaluation.cohorts import clusters_drawn, labeled
from melanoma.evaluation.results import Intended
from melanoma.evaluation.transport import transported
from melanoma.stats.calibration import Choice, choose_calibrator
from melanoma.stats.metrics import Floats, confusion
from melanoma.stats.thresholds import choose_thresholds


@dataclass(frozen=True)
class Decisions:
    """What is decided on out-of-fold predictions: thresholds by rule, and a calibrator."""

    thresholds: dict[str, float] = field(default_factory=dict)
    calibration: Choice | None = None
    intended: dict[str, Intended] = field(default_factory=dict)  # by rule

    @property
    def rule(self) -> str | None:
        """The rule of the chosen threshold: the given one, or that of the target sensitivity; None without any."""
        rules = [rule for rule in self.thresholds if rule == "given" or rule.startswith("sensitivity_")]
        return rules[-1] if rules else None

    @property
    def threshold(self) -> float | None:
        """The chosen threshold; None without any."""
        return None if self.rule is None else self.thresholds[self.rule]

    def calibrated(self, probability: Floats) -> Floats:
        """Return calibrated probabilities; without a calibrator they are the same."""
        return probability if self.calibration is None else self.calibration.calibrator.apply(probability)


def decide(
    out_of_fold: pd.DataFrame,
    name: str,
    settings: Evaluate,
    training_prevalence: float | None = None,
    test: pd.DataFrame | None = None,
) -> Decisions:
    """Return the thresholds and the calibrator that labeled out-of-fold predictions give.

    `name` is the model, for error messages. `training_prevalence` is the share of melanomas that the training saw;
    without it a prior shift is no candidate. `test` are the predictions of the test, whose labels are never read. If
    the mean of several models makes them, the decisions are those for the mean (see `transport`).
    """
    if test is not None:
        out_of_fold = transported(out_of_fold, test)
    target, probability = labeled(out_of_fold, f"{name}, out of fold")
    _, clusters = clusters_drawn(out_of_fold)
    choice = choose_calibrator(target, probability, clusters, training_prevalence, settings.seed)
    thresholds = choose_thresholds(target, probability, settings.target_sensitivity)
    cells = {rule: confusion(target, probability, threshold) for rule, threshold in thresholds.items()}
    intended: dict[str, Intended] = {
        rule: {"sensitivity": float(each.sensitivity), "specificity": float(each.specificity)}
        for rule, each in cells.items()
    }
    return Decisions(thresholds, choice, intended)
