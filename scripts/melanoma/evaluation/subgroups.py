"""Subgroups of the images: their members, their metrics, and tests whether a metric differs between them."""

from collections.abc import Mapping
from typing import NamedTuple, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from melanoma.config.data import SUBGROUP
from melanoma.config.study import Evaluate
from melanoma.evaluation.cohorts import clusters_drawn, count_images, pair
from melanoma.evaluation.decisions import Decisions
from melanoma.evaluation.results import GroupMetrics, Heterogeneity, KindOfGroups, Subgroups
from melanoma.stats.bootstrap import Estimate, Resampling, metric_interval
from melanoma.stats.comparison import holm
from melanoma.stats.metrics import Auroc, Floats, Measure, Outcomes, measured
from melanoma.stats.recalibration import Recalibration
from melanoma.stats.subsets import Among, EqualityTest, equality_test

METADATA = ("age", "sex", "site", "source", "width", "height", "skin_type", "lesion")
NAMED = ("source", "sex", "site", "skin_type")  # kinds whose groups are the words of the column
AGES = {"under 30": (0, 30), "30 to 44": (30, 45), "45 to 59": (45, 60), "60 to 74": (60, 75), "75 and over": (75, 121)}
SIZES_SHOWN = 6  # the most frequent ones; all others are one group
LEVELS_SHOWN = 20  # of a column that the study names
MISSING, OTHER = "missing", "other"
RATES = ("sensitivity", "specificity", "ppv")
TESTED = ("auroc", "calibration_slope", "calibration_intercept", *RATES)
FEWEST_TESTED = 10  # patients with a melanoma, and as many with a benign image, of each group that is tested
Members = NDArray[np.bool_]
Key = tuple[str, str, str]  # a kind, a group and a measure


def join_metadata(predictions: pd.DataFrame, images: pd.DataFrame) -> pd.DataFrame:
    """Return `predictions` with the columns of `METADATA` and the declared subgroups that `images` has, by image."""
    known = [name for name in images if name in METADATA or str(name).startswith(SUBGROUP)]
    kept = predictions.drop(columns=[name for name in known if name in predictions])
    return kept.merge(images[["image", *known]], on="image", how="left", validate="1:1")


def subgroups(table: pd.DataFrame) -> dict[str, dict[str, Members]]:
    """Return the members of each group, bool (n,), by kind; "missing" is a group.

    The kinds are source, sex, site, skin_type, age, size and the declared subgroups, each if the table has its column.
    """
    kinds = {kind: table[kind].fillna(MISSING).astype(str) for kind in NAMED if kind in table}
    order = {"age": [*AGES, MISSING]}
    for column in (str(name) for name in table if str(name).startswith(SUBGROUP)):
        kinds[column.removeprefix(SUBGROUP)] = _frequent(table[column].fillna(MISSING).astype(str), LEVELS_SHOWN)
    if "age" in table:
        age = pd.Series(MISSING, index=table.index)
        for name, (low, high) in AGES.items():
            age = age.mask((table["age"] >= low) & (table["age"] < high), name)
        kinds["age"] = age
    if "width" in table:
        kinds["size"] = _frequent(sizes(table), SIZES_SHOWN)
    groups = {}
    for kind, values in kinds.items():
        levels = [level for level in order.get(kind, sorted(values.unique())) if (values == level).any()]
        groups[kind] = {level: (values == level).to_numpy() for level in levels}
    return groups


def sizes(table: pd.DataFrame) -> pd.Series:
    """Return the size of each image as text, such as 6000 x 4000, or unknown: (n,)."""
    width, height = (table[side].fillna(0).astype(int) for side in ("width", "height"))
    return (width.astype(str) + " x " + height.astype(str)).where(width > 0, "unknown")


def subgroup_metrics(table: pd.DataFrame, decisions: Decisions, settings: Evaluate) -> Subgroups | None:
    """Return the metrics of each subgroup with two groups or more, and tests of their differences; None without any."""
    kinds = {kind: groups for kind, groups in subgroups(table).items() if len(groups) > 1}
    if not kinds:
        return None
    entries, tests = _groups(table, decisions, settings, kinds)
    corrected = holm([test.p for test in tests.values()])
    result: dict[str, KindOfGroups] = {kind: {"groups": entries[kind], "heterogeneity": {}} for kind in kinds}
    for ((kind, metric), test), p_holm in zip(tests.items(), corrected, strict=True):
        tested: Heterogeneity = {"chi2": test.chi2, "df": test.df, "p": test.p, "p_holm": float(p_holm)}
        result[kind]["heterogeneity"][metric] = tested
    scale = "raw" if decisions.calibration is None else "calibrated"
    return {"rule": decisions.rule, "scale": scale, "kinds": result}


def confirmed_metrics(table: pd.DataFrame, decisions: Decisions, settings: Evaluate) -> GroupMetrics | None:
    """Return the metrics of the images whose diagnosis histology confirms; None if no column tells, or none is."""
    if "confirmation" not in table:
        return None
    confirmed = table["confirmation"].fillna("").str.lower().str.startswith("histo").to_numpy(bool)
    if not confirmed.any():
        return None
    entries, _ = _groups(table, decisions, settings, {"confirmation": {"histology": confirmed}})
    return entries["confirmation"]["histology"]


class _Drawn(NamedTuple):
    """A metric of a group, with what a test of several groups needs."""

    estimate: Estimate
    replicated: Floats  # (replicates,)
    n_clusters: int  # independent patients of the metric
    tested: bool


def _groups(
    table: pd.DataFrame, decisions: Decisions, settings: Evaluate, kinds: Mapping[str, Mapping[str, Members]]
) -> tuple[dict[str, dict[str, GroupMetrics]], dict[tuple[str, str], EqualityTest]]:
    """Return the metrics of each group by kind, and the tests by kind and metric."""
    target, probability = pair(table)
    calibrated, clusters = decisions.calibrated(probability), clusters_drawn(table)[1]
    measures: dict[Key, Measure] = {}
    for kind, groups in kinds.items():
        for level, members in groups.items():
            parts = _measures(target[members], probability[members], calibrated[members], decisions.threshold)
            measures |= {(kind, level, part): Among(measure, members) for part, measure in parts.items()}
    resampling = Resampling(measures, clusters)
    replicated, left_out = resampling.replicate(settings.replicates, settings.seed), resampling.leave_out(settings.seed)
    drawn: dict[tuple[str, str], dict[str, _Drawn]] = {}
    for key, measure in measures.items():
        kind, level, part = key
        members = kinds[kind][level]
        patients = {label: len(np.unique(clusters[members & (target == label)])) for label in (0, 1)}
        fewest = min(patients.values())
        tested = level != MISSING and fewest >= FEWEST_TESTED
        for name, value in measured(measure).items():
            if part == "rates" and name not in RATES:
                continue
            count = {"sensitivity": patients[1], "specificity": patients[0]}.get(name, fewest)
            in_replicates, in_groups = replicated[key][name], left_out[key][name]
            estimate = metric_interval(name, float(value), in_replicates, in_groups, settings.confidence_level, count)
            metrics = drawn.setdefault((kind, level), {})
            metrics[name] = _Drawn(estimate, in_replicates, count, tested and name in TESTED and not np.isnan(value))
    entries: dict[str, dict[str, GroupMetrics]] = {kind: {} for kind in kinds}
    for (kind, level), metrics in drawn.items():
        intervals = {name: metric.estimate.bounds for name, metric in metrics.items()}
        entries[kind][level] = cast(GroupMetrics, count_images(table[kinds[kind][level]]) | intervals)
    return entries, _tests(drawn, kinds)


def _tests(
    drawn: Mapping[tuple[str, str], Mapping[str, _Drawn]], kinds: Mapping[str, Mapping[str, Members]]
) -> dict[tuple[str, str], EqualityTest]:
    """Return the tests of the metrics that two groups or more have, by kind and metric."""
    tests = {}
    for kind, groups in kinds.items():
        for name in TESTED:
            known = [drawn[kind, level][name] for level in groups if name in drawn[kind, level]]
            known = [metric for metric in known if metric.tested]
            if len(known) < 2:
                continue
            values = np.array([metric.estimate.value for metric in known])
            counts = np.array([metric.n_clusters for metric in known])
            test = equality_test(values, np.stack([metric.replicated for metric in known]), counts)
            if test is not None:
                tests[kind, name] = test
    return tests


def _measures(
    target: NDArray[np.int8], probability: Floats, calibrated: Floats, threshold: float | None
) -> dict[str, Measure]:
    measures: dict[str, Measure] = {
        "auroc": Auroc(target, probability),
        "calibration": Recalibration(target, calibrated),
    }
    return measures if threshold is None else measures | {"rates": Outcomes(target, probability, threshold)}


def _frequent(values: pd.Series, shown: int) -> pd.Series:
    """Return the words of a column, those that are not among the `shown` most frequent ones as one word."""
    return values.where(values.isin(values.value_counts().index[:shown]), OTHER)
