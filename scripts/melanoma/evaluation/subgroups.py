"""Subgroups of the images: their members, their metrics, and tests whether a metric differs between them."""

from collections.abc import Mapping
from typing import cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from melanoma.config.data import SUBGROUP
from melanoma.config.study import Evaluate
from melanoma.evaluation.cohorts import clusters_drawn, count_images, pair
from melanoma.evaluation.decisions import Decisions
from melanoma.evaluation.results import GroupMetrics, Heterogeneity, KindOfGroups, Subgroups
from melanoma.stats.bootstrap import Resampling, metric_interval
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
    entries: dict[str, dict[str, GroupMetrics]] = {}
    tested: dict[tuple[str, str], list[tuple[float, Floats, int]]] = {}
    for kind, groups in kinds.items():
        for level, members in groups.items():
            entry = cast(dict[str, object], count_images(table[members]))
            patients = {label: len(np.unique(clusters[members & (target == label)])) for label in (1, 0)}
            for part in (part for part in ("auroc", "calibration", "rates") if (kind, level, part) in measures):
                key = (kind, level, part)
                values = measured(measures[key])
                for name in (name for name in values if part != "rates" or name in RATES):
                    drawn, value = replicated[key][name], float(values[name])
                    fewest = {"sensitivity": patients[1], "specificity": patients[0]}.get(name, min(patients.values()))
                    estimate = metric_interval(
                        name, value, drawn, left_out[key][name], settings.confidence_level, fewest
                    )
                    entry[name] = estimate.bounds
                    if name in TESTED and level != MISSING and min(patients.values()) >= FEWEST_TESTED:
                        tested.setdefault((kind, name), []).append((value, drawn, fewest))
            entries.setdefault(kind, {})[level] = cast(GroupMetrics, entry)
    tests = {}
    for place, groups_tested in tested.items():
        known = [each for each in groups_tested if not np.isnan(each[0])]
        if len(known) < 2:
            continue
        values_tested, drawn_tested, clusters_tested = zip(*known, strict=True)
        test = equality_test(np.array(values_tested), np.stack(drawn_tested), np.array(clusters_tested))
        if test is not None:
            tests[place] = test
    return entries, tests


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
