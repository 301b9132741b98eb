"""The content of metrics.json, external.json, comparisons.json, calibration.json, curves.json and shortcuts.json.

Rates, AUROCs and probabilities are shares from 0 to 1. In the files, null stands for NaN.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NotRequired, TypedDict

if TYPE_CHECKING:  # the report reads these files, and need not load the statistics with scipy.sparse for that
    from melanoma.stats.bootstrap import Interval
    from melanoma.stats.comparison import Pair


class Counts(TypedDict):
    """How many images, melanomas and units metrics are computed from."""

    n: int
    melanomas: int
    unit: str  # patient; lesion or image if these stand in for unknown patients (see `units.unit`)
    units: int


class BootstrapSettings(TypedDict):
    """Settings of the bootstrap."""

    replicates: int
    confidence_level: float
    seed: int


class Bootstrap(BootstrapSettings):
    """How the intervals of a model are computed."""

    clusters: str  # what is drawn: the unit
    degenerate_replicates: int  # replicates of a single class, which have no AUROC


class Intended(TypedDict):
    """The rates of the out-of-fold predictions at a threshold that was chosen on them."""

    sensitivity: float
    specificity: float


class AtThreshold(TypedDict):
    """A decision threshold, the counts, and the rates of `metrics.RATES`."""

    threshold: float  # a probability at or above it counts as melanoma
    tp: int
    fp: int
    tn: int
    fn: int
    sensitivity: Interval
    specificity: Interval
    ppv: Interval
    npv: Interval
    balanced_accuracy: Interval
    f1: Interval
    f2: Interval
    g_mean: Interval
    kappa: Interval
    intended: NotRequired[Intended]  # to compare with the rates above; not for a given threshold


class ProbabilityMetrics(TypedDict):
    """Metrics that depend on the probabilities, and not on their order alone."""

    brier: Interval
    log_loss: Interval  # in nats per image
    ece: Interval
    net_benefit: dict[str, Interval]  # by threshold probability
    calibration_slope: Interval  # 1 is perfect
    calibration_intercept: Interval  # 0 is perfect
    observed_expected: Interval  # 1 is perfect
    ici: Interval  # integrated calibration index
    adaptive_ece: Interval  # in bins of equal numbers of images


class PredictiveValues(TypedDict):
    """Predictive values of a threshold."""

    ppv: Interval
    npv: Interval


class CalibratedAtPrevalence(TypedDict):
    """Metrics of the calibrated probabilities at the stated prevalence."""

    net_benefit: dict[str, Interval]  # by threshold probability


class AtPrevalence(CalibratedAtPrevalence):
    """Metrics at the stated prevalence, `evaluate.prevalence`; the net benefit is that of the raw probabilities."""

    prevalence: float
    sampled: float  # the share of melanomas among the images
    case_control: bool  # whether `sampled` is far above `prevalence`, see `prevalence.CASE_CONTROL`
    average_precision: Interval
    calibrated: NotRequired[CalibratedAtPrevalence]
    thresholds: NotRequired[dict[str, PredictiveValues]]  # by rule


class GroupMetrics(Counts):
    """The metrics of a subgroup. The rates are those at the chosen threshold; without thresholds there are none."""

    auroc: Interval
    calibration_slope: Interval
    calibration_intercept: Interval
    observed_expected: Interval
    sensitivity: NotRequired[Interval]
    specificity: NotRequired[Interval]
    ppv: NotRequired[Interval]


class Heterogeneity(TypedDict):
    """Wald's test of the hypothesis that a metric is the same in all groups."""

    chi2: float
    df: int
    p: float
    p_holm: float  # corrected for all tests of the model


class KindOfGroups(TypedDict):
    """The groups of one kind, such as sex."""

    groups: dict[str, GroupMetrics]
    heterogeneity: dict[str, Heterogeneity]  # by metric


class Subgroups(TypedDict):
    """The subgroups of the test images."""

    rule: str | None  # of the chosen threshold
    scale: str  # calibrated or raw: the probabilities whose calibration is measured
    kinds: dict[str, KindOfGroups]


class UnitRates(TypedDict):
    """Rates of patients or lesions at a threshold."""

    sensitivity: Interval
    specificity: Interval


class UnitMetrics(TypedDict):
    """Metrics of patients or of lesions (see `patients`)."""

    n: int
    melanomas: int
    auroc: Interval
    thresholds: dict[str, UnitRates]  # by rule


class SelectivePoint(TypedDict):
    """The images that are kept if the most uncertain ones are left to a physician."""

    coverage: float  # share of the images
    n: int
    melanomas: int
    auroc: Interval
    accuracy: Interval


class Selective(TypedDict):
    """The selective-prediction curve, by falling coverage."""

    by: str  # the uncertainty of an image: spread (over trainings), views or margin (distance to the threshold)
    points: list[SelectivePoint]


class ModelMetrics(Counts, ProbabilityMetrics):
    """The entry of a model in metrics.json."""

    auroc: Interval
    average_precision: Interval
    partial_auroc: Interval  # at most 0.2
    sensitivity_at_80_specificity: Interval
    sensitivity_at_90_specificity: Interval
    sensitivity_at_95_specificity: Interval
    specificity_at_80_sensitivity: Interval
    specificity_at_90_sensitivity: Interval
    specificity_at_95_sensitivity: Interval
    bootstrap: Bootstrap
    thresholds: NotRequired[dict[str, AtThreshold]]  # by rule
    calibrated: NotRequired[ProbabilityMetrics]  # of the calibrated probabilities
    at_prevalence: NotRequired[AtPrevalence]
    subgroups: NotRequired[Subgroups]
    histology: NotRequired[GroupMetrics]  # images whose diagnosis is confirmed by histology
    patients: NotRequired[UnitMetrics]
    lesions: NotRequired[UnitMetrics]
    selective: NotRequired[Selective]
    validation: NotRequired[ModelMetrics]  # of the out-of-fold predictions
    fold_auroc: NotRequired[dict[str, float | None]]  # by fold, in `validation` only; null for a single class


class Rates(TypedDict):
    """Rates at a threshold, or differences of such rates."""

    sensitivity: Interval
    specificity: Interval


class Drop(TypedDict):
    """Metrics of the study minus those of an external test; see `external.drop`."""

    auroc: Interval
    average_precision: Interval
    brier: Interval
    thresholds: dict[str, Rates]  # by rule; empty out of fold


class ExternalMetrics(ModelMetrics):
    """The entry of a model in external.json, which has the entries of all models by source."""

    drop: NotRequired[dict[str, Drop]]  # by what is compared: internal_test, out_of_fold


class Comparisons(Counts):
    """The content of comparisons.json. The counts are of the images that all models predict."""

    clusters: str
    confidence_level: float
    pairs: list[Pair]  # empty for one model, or if the images are of one class


class ReliabilityBin(TypedDict):
    """A point of a reliability curve."""

    predicted: Interval  # mean probability
    observed: Interval  # share of melanomas


class Reliability(TypedDict):
    """The entry of a model in calibration.json. Without out-of-fold predictions there is no calibrator."""

    calibrator: NotRequired[dict[str, str | float | list[float]]]  # see `calibration.CalibratorEntry`
    cross_validated_log_loss: NotRequired[dict[str, float]]
    reliability: dict[str, list[ReliabilityBin]]  # of the raw and, with a calibrator, the calibrated probabilities


class RocCurve(TypedDict):
    """The corners of a ROC curve."""

    false_positive_rate: list[float]
    true_positive_rate: list[float]


class PrecisionRecallCurve(TypedDict):
    """Precision at each score that gains recall, so that steps of precision over recall enclose average precision."""

    recall: list[float]
    precision: list[float]


class DecisionCurve(TypedDict):
    """Net benefit of the calibrated probabilities, up to the highest threshold probability of the settings."""

    threshold: list[float]
    net_benefit: list[float]


class RankingCurves(TypedDict):
    """The curves that depend on the order of the images alone."""

    roc: RocCurve
    precision_recall: PrecisionRecallCurve


class ValidationCurves(TypedDict):
    """The curves of out-of-fold predictions."""

    pooled: RankingCurves  # of all folds together
    folds: dict[str, RankingCurves]  # by fold, without those of a single class


class Curves(RankingCurves):
    """The entry of a model in curves.json."""

    prevalence: float
    decision: DecisionCurve
    validation: NotRequired[ValidationCurves]


class WithinSize(TypedDict):
    """AUROC among images of the same size, over `pairs` of a melanoma and a benign image."""

    auroc: Interval
    pairs: int


class WithinPatients(WithinSize):
    """AUROC among images of the same patient, and more of `within.WithinPatient`."""

    first: Interval
    chance: Interval
    ranked: int  # melanomas that `first` and `chance` are shares of


class ModelShortcuts(TypedDict):
    """The shortcut analysis of a model."""

    auroc: Interval
    within_size: WithinSize | None  # null if sizes are unknown
    within_patient: WithinPatients | None  # null if a patient is unknown
    r2: Interval  # share of the variance of the score's rank that acquisition predicts
    adjusted_auroc: Interval  # of the score's rank minus that prediction


class Subgroup(Counts):
    """A subgroup of the images."""

    auroc: dict[str, Interval]  # by model


class Difference(TypedDict):
    """The AUROC of a model minus that of another one, on the same images."""

    difference: Interval
    p: float  # two-sided, of the paired test over patients


class Shortcuts(TypedDict):
    """The shortcut analysis of the test or of the out-of-fold predictions in shortcuts.json."""

    baselines: NotRequired[dict[str, Interval]]  # AUROC of models without pixels
    differences: NotRequired[dict[str, Difference]]  # by model, to the last baseline
    models: dict[str, ModelShortcuts]
    subgroups: dict[str, dict[str, Subgroup]]  # by kind and group


class Robustness(TypedDict):
    """The entry of a model in robustness.json."""

    original: Interval  # AUROC of the images as they are
    corrupted: dict[str, dict[str, Interval]]  # AUROC by corruption and severity
