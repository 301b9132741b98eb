"""The JSON results of a study, as far as the figures and the report read them."""

from typing import Literal, NotRequired, TypedDict


class Interval(TypedDict):
    """A metric and its confidence interval. The bounds are null if no bootstrap replicate has both classes."""

    value: float
    low: float | None
    high: float | None


class Bootstrap(TypedDict):
    """How the confidence intervals were computed. `clusters` is what was resampled."""

    replicates: int
    confidence_level: float
    clusters: Literal["patient", "image"]
    degenerate_replicates: int


class ProbabilityMetrics(TypedDict):
    """Metrics of probabilities. `net_benefit` is by threshold probability."""

    brier: Interval
    log_loss: Interval
    ece: Interval
    net_benefit: dict[str, Interval]


class ModelMetrics(ProbabilityMetrics):
    """A model's entry in metrics.json. `validation` has the same metrics out of fold; `patients` is null if unknown."""

    n: int
    melanomas: int
    patients: int | None
    auroc: Interval
    average_precision: Interval
    bootstrap: Bootstrap
    calibrated: NotRequired[ProbabilityMetrics]
    thresholds: NotRequired[dict[str, dict[str, float | Interval]]]
    validation: NotRequired["ModelMetrics"]


class ROC(TypedDict):
    """Corners of a ROC curve."""

    false_positive_rate: list[float]
    true_positive_rate: list[float]


class PrecisionRecall(TypedDict):
    """Corners of a precision-recall curve."""

    recall: list[float]
    precision: list[float]


class Decision(TypedDict):
    """Points of a decision curve. `threshold` is the threshold probability."""

    threshold: list[float]
    net_benefit: list[float]


class Curves(TypedDict):
    """A model's entry in curves.json. `prevalence` is the share of melanomas."""

    prevalence: float
    roc: ROC
    precision_recall: PrecisionRecall
    decision: Decision


class Bin(TypedDict):
    """The predicted and the observed share of melanomas in a bin of a reliability diagram."""

    predicted: Interval
    observed: Interval


class Calibration(TypedDict):
    """A model's entry in calibration.json: the bins of `raw` and, with a calibrator, `calibrated` probabilities."""

    reliability: dict[str, list[Bin]]


class Finding(TypedDict):
    """A kind of leak in leakage.json: between which parts or folds, how many images, and which."""

    kind: str
    boundary: str
    count: int
    images: list[str]
