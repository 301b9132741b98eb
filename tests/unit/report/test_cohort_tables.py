"""The tables of further cohorts have the values of the metrics, and are left out where these lack them."""

import csv
import io
from typing import Any

import pytest

from melanoma.report.cohort_tables import cohort_tables, robustness, weakest
from melanoma.report.tables import Table, as_csv


def area(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 0.1, "high": value + 0.1}


COUNTS = {"n": 50, "melanomas": 9, "unit": "patient", "units": 20}
PLAIN: dict[str, Any] = {**COUNTS, "auroc": area(0.8), "brier": area(0.2)}
GROUP = COUNTS | {"auroc": area(0.7), "calibration_slope": area(1.1), "observed_expected": area(0.9)}
RATES = {"sensitivity": area(0.6), "specificity": area(0.7)}
FULL = PLAIN | {
    "calibration_slope": area(0.5),
    "calibrated": {"calibration_slope": area(1.01), "ici": area(0.03)},
    "thresholds": {"sensitivity_90": RATES, "youden": {"sensitivity": area(0.5)}},
    "subgroups": {
        "rule": "sensitivity_90",
        "scale": "calibrated",
        "kinds": {"sex": {"groups": {"male": GROUP | RATES}, "heterogeneity": {"auroc": {"p": 0.01, "p_holm": 0.04}}}},
    },
    "histology": GROUP,
    "patients": {"n": 20, "melanomas": 5, "auroc": area(0.75), "thresholds": {"youden": RATES}},
    "selective": {"by": "margin", "points": [{"coverage": 0.9, **COUNTS, "auroc": area(0.9), "accuracy": area(0.8)}]},
    "at_prevalence": {
        "prevalence": 0.01,
        "average_precision": area(0.2),
        "thresholds": {"youden": {"ppv": area(0.11), "npv": area(0.89)}},
    },
}


def test_a_study_without_these_values_has_no_such_table() -> None:
    assert cohort_tables({"cnn": PLAIN}, None, "cnn", None) == {}


def test_each_table_has_the_values_of_the_metrics() -> None:
    external = {"clinic": {"cnn": PLAIN | {"drop": {"internal_test": {"auroc": area(0.05)}}}}}
    tables = cohort_tables({"cnn": FULL}, external, "cnn", "cnn")
    lines = {name: as_csv(table).splitlines()[1:] for name, table in tables.items()}
    assert lines["recalibration"] == ["cnn,1.01,0.91,1.11,,,0.03,-0.07,0.13,"]
    assert lines["subgroups"][1].startswith("sex,male,50,9,0.7,0.6,0.7999999999999999,0.6,")
    assert lines["subgroups"][1].endswith(",0.04")
    assert lines["subgroups"][2].startswith("diagnosis,confirmed by histology,50,9,0.7,")
    assert lines["units"] == ["patients,20,5,0.75,0.65,0.85,Youden,0.6,0.5,0.7,0.7,0.6,0.7999999999999999"]
    assert lines["selective"][0].startswith("0.9,50,9,0.9,")
    assert lines["at_prevalence"][0].startswith("cnn,0.01,0.2,0.1,") and ",Youden,0.11," in lines["at_prevalence"][0]
    assert lines["at_prevalence"][0].endswith(",0.5,0.4,0.6,"), "the sensitivity that the threshold reached"
    assert lines["external"][0].startswith("cnn,clinic,50,9,0.8,") and ",0.05," in lines["external"][0]


def test_the_rates_that_the_whole_test_set_reached_stand_above_those_of_the_groups() -> None:
    first = next(csv.DictReader(io.StringIO(as_csv(cohort_tables({"cnn": FULL}, None, "cnn", None)["subgroups"]))))
    assert (first["group"], first["auroc"], first["calibration_slope"]) == ("whole test set", "0.8", "1.01")
    assert [first[f"sensitivity{end}"] for end in ("", "_low", "_high")] == ["0.6", "0.5", "0.7"]


@pytest.mark.parametrize(
    ("n", "melanomas", "shown"),
    [
        (50, 5, {"auroc", "sensitivity", "specificity", "calibration_slope"}),
        (50, 4, {"specificity"}),
        (50, 46, {"sensitivity"}),
        (2, 1, set()),
    ],
)
def test_a_rate_of_too_few_images_is_not_shown(n: int, melanomas: int, shown: set[str]) -> None:
    few = GROUP | RATES | {"n": n, "melanomas": melanomas}
    kinds = {"sex": {"groups": {"male": few}, "heterogeneity": {}}}
    entry = FULL | {"subgroups": FULL["subgroups"] | {"kinds": kinds}}
    table = cohort_tables({"cnn": entry}, None, "cnn", None)["subgroups"]
    row = list(csv.DictReader(io.StringIO(as_csv(table))))[1]
    rates = ("auroc", "sensitivity", "specificity", "calibration_slope")
    assert (row["n"], row["melanomas"]) == (str(n), str(melanomas))
    assert {key for key in rates if row[key] != "too few"} == shown
    assert (table.bar(table.rows[1]) is None) == ("auroc" not in shown)


def test_the_auroc_of_each_corruption_stands_beside_that_of_the_images_as_they_are() -> None:
    areas = {"color_cast": {"1": area(0.75), "3": area(0.5)}}
    table = robustness({"cnn": {"original": area(0.8), "corrupted": areas}}, "cnn", 2)
    assert table is not None
    (line,) = as_csv(table).splitlines()[1:]
    assert line.startswith("cnn,color cast,0.8,0.7") and line.endswith(",0.75,0.65,0.85,0.5,0.4,0.6")
    assert robustness({}, "cnn", 2) is None


def subgroups(aurocs: dict[str, tuple[int, float]], p: float | None = 0.04) -> Table:
    """Return the table of sites, each with 50 images, some melanomas and an AUROC, and of all images of histology."""
    groups = {name: GROUP | RATES | {"melanomas": few, "auroc": area(value)} for name, (few, value) in aurocs.items()}
    tested = {} if p is None else {"auroc": {"p": p / 2, "p_holm": p}}
    kinds = {"site": {"groups": groups, "heterogeneity": tested}}
    low = GROUP | {"auroc": area(0.3)}
    entry = FULL | {"subgroups": FULL["subgroups"] | {"kinds": kinds}, "histology": low}
    return cohort_tables({"cnn": entry}, None, "cnn", None)["subgroups"]


@pytest.mark.parametrize("p", [0.04, None])
def test_the_weakest_subgroup_has_the_lowest_auroc_of_those_with_enough_images_of_each_class(p: float | None) -> None:
    table = subgroups({"torso": (9, 0.8), "foot": (7, 0.6), "palm": (4, 0.1), "missing": (9, 0.2)}, p)
    found = weakest(table, "auroc")
    assert found == {
        "variable": "site",
        "group": "foot",
        "n": 50,
        "melanomas": 7,
        "value": area(0.6),
        "groups": 2,
        "p": p,
    }


def test_one_group_is_not_the_weakest() -> None:
    assert weakest(subgroups({"torso": (9, 0.8), "palm": (4, 0.1)}), "auroc") is None
    assert weakest(None, "auroc") is None
